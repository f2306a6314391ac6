"""What is asked of a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from camgraph_core.errors import UsageError
from camgraph_core.settings import Setting, check_settings
from camgraph_runtime.video.reading import VIDEO_SUFFIXES, check_segment


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """Which frames of a video are explained, and what is followed."""

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

    def __post_init__(self) -> None:
        check_settings(self)
        check_segment(self.every, self.start, self.end)

    def video_among(self, images: Sequence[Path]) -> Path | None:
        """The video of a run, or None for a run over images.

        Raises:
            UsageError: There are images beside it, or options of videos without one.

        """
        videos = [path for path in images if path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir()]
        if not videos:
            if self != VideoOptions():
                raise UsageError("--every, --start, --end and --follow go with a video.")
            return None
        if len(images) > 1:
            raise UsageError(f"A video is explained alone; leave out what is named beside {videos[0]}.")
        return videos[0]
