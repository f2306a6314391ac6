"""What is asked of a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from camgraph_core.errors import UsageError
from camgraph_core.settings import Setting, check_settings
from camgraph_runtime.video.live import LiveReader, LiveSource
from camgraph_runtime.video.reading import VIDEO_SUFFIXES, VideoReader


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """Which frames of a video or a live source are explained, and what is followed."""

    every: Annotated[int, Setting("Video: explain one frame of so many.", at_least=1)] = 1
    start: Annotated[float, Setting("Video: seconds from which on frames are explained.", at_least=0)] = 0.0
    end: Annotated[float | None, Setting("Video: seconds up to which frames are explained.", above=0)] = None
    follow: Annotated[
        bool,
        Setting(
            "Video, detection: follow one object: in every frame explain the box nearest to that of the last frame. It "
            "begins with the object that --at or --object names, or with the best one."
        ),
    ] = False

    source_timeout: Annotated[
        float, Setting("Live source: seconds without a frame after which it has failed.", above=0, at_most=86_400)
    ] = 10.0

    def __post_init__(self) -> None:
        check_settings(self, self._check_part)

    def _check_part(self) -> None:
        if self.end is not None and self.end <= self.start:
            raise UsageError(f"--end is {self.end:g} seconds, but --start is {self.start:g}; give a later --end.")

    def video_among(self, images: Sequence[Path | LiveSource]) -> Path | LiveSource | None:
        """The video or live source of a run, or None for a run over images.

        Raises:
            UsageError: There are images beside it, or options of videos without one.

        """
        videos = [one for one in images if isinstance(one, LiveSource) or _is_video(one)]
        if not videos:
            if self != VideoOptions():
                raise UsageError("--every, --start, --end, --follow and --source-timeout go with a video.")
            return None
        if len(images) > 1:
            raise UsageError(f"A video is explained alone; leave out what is named beside {videos[0]}.")
        return videos[0]

    def open(self, source: Path | LiveSource) -> VideoReader | LiveReader:
        """The video or live source, to be closed.

        Raises:
            InvalidInputError: It cannot be read.
            UsageError: PyAV is not installed.

        """
        if isinstance(source, LiveSource):
            return LiveReader(source, patience=self.source_timeout)
        return VideoReader(source)


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir()
