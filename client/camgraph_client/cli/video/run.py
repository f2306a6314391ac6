"""The run of `camgraph explain` over the frames of a video or of a live source."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import click
from rich.console import Console
from rich.progress import track

from camgraph_client.cli.source import Source
from camgraph_client.cli.video.follow import Follower
from camgraph_client.cli.video.live import ended_by_signals
from camgraph_client.cli.video.options import VideoOptions
from camgraph_client.cli.video.sheet import ContactSheet
from camgraph_client.cli.video.story import Story
from camgraph_client.cli.video.strip import Strip
from camgraph_core.errors import InvalidInputError, NotInImageError
from camgraph_core.result import Result
from camgraph_core.types import ByteArray
from camgraph_runtime import Explainer, SceneExplainer
from camgraph_runtime.video.live import LiveReader, LiveSource
from camgraph_runtime.video.reading import VideoFrame, VideoReader
from camgraph_runtime.video.writing import VideoWriter

Answer: TypeAlias = Callable[[], Result]
_AHEAD = 4  # frames that are with a server at a time


@dataclass(frozen=True)
class VideoRun:
    """A run over a video.

    Attributes:
        source: What explains.
        asked: The keywords of `Explains.explain` for each frame.
        options: Which frames are explained, and what is followed.
        output: The video that is written; where it is a folder, one of the same name in it.

    """

    source: Source
    asked: dict[str, Any]
    options: VideoOptions
    output: Path

    def over(self, path: Path | LiveSource) -> None:
        """Explains frame by frame, and writes a video with the overlays and a contact sheet.

        Of a video that is damaged somewhere, or a live source that breaks off, they show what comes before that. A live
        source also ends at Ctrl-C, as if it had ended by itself.

        Raises:
            InvalidInputError: It is not a video, is damaged, or has no frame in the part that is asked for; or the
                live source cannot be read.
            NotInImageError: What is asked for is in no frame.
            UsageError: The output cannot be written.

        """
        options, story, sheet, strip = self.options, Story(), ContactSheet(), Strip(self.asked["max_side"])
        name = path.name if isinstance(path, LiveSource) else path.stem
        written = self.output if self.output.suffix else self.output / f"{name}.mp4"
        problem: InvalidInputError | None = None
        with ExitStack() as stack:
            video = options.open(path)
            stack.callback(video.close)
            if isinstance(video, LiveReader):
                stack.enter_context(ended_by_signals(video.stop))
            writer = stack.enter_context(VideoWriter(written, video.rate / options.every))
            frames = video.frames(every=options.every, start=options.start, end=options.end)
            first: float | None = None
            try:
                for frame, answer in self._with_progress(self._answers(frames), video):
                    picture, title = _drawn(frame, answer, story, strip)
                    first = frame.seconds if first is None else first
                    writer.add(picture, frame.seconds - first)
                    sheet.add(picture, frame.seconds, title)
            except InvalidInputError as error:
                problem = error
            story.check(path, problem)
        sheet.save(written.with_suffix(".sheet.png"), self.asked["colormap"])
        story.print()
        if isinstance(video, LiveReader) and video.dropped:
            click.echo(f"{video.dropped} frames came while others were explained, and were left out")
        if isinstance(video, VideoReader) and video.damaged:
            click.echo(f"{video.damaged} frames are damaged in the file: the decoder filled what they lack")
        for file in (written, written.with_suffix(".sheet.png")):
            click.echo(f"wrote {file}")
        if problem is not None:
            raise problem

    def _answers(self, frames: Iterator[VideoFrame]) -> Iterator[tuple[VideoFrame, Answer]]:
        """For each frame what gives its result, or raises. A server has the next frames while one is drawn here."""
        if self.options.follow:
            follower = Follower(self.source, self.asked)
            yield from ((frame, partial(follower.explain, frame.pixels)) for frame in frames)
            return
        explains, asked = self.source.explains, self._asked_of_frames
        if isinstance(explains, Explainer | SceneExplainer):
            yield from ((frame, partial(explains.explain, frame.pixels, **asked)) for frame in frames)
            return
        sent: deque[VideoFrame] = deque()

        def pixels() -> Iterator[ByteArray]:
            for frame in frames:
                sent.append(frame)
                yield frame.pixels

        for outcome in explains.explain_many(pixels(), ahead=_AHEAD, **asked):
            yield sent.popleft(), partial(getattr, outcome, "result")

    @property
    def _asked_of_frames(self) -> dict[str, Any]:
        """What is asked of each frame: of a detector the best object, where none is named, as a frame may have none."""
        is_open = not self.asked["targets"] and not self.asked["top_k"]
        return {**self.asked, "top_k": 1} if is_open and self.source.manifest.boxes.output else self.asked

    def _with_progress(
        self, answers: Iterator[tuple[VideoFrame, Answer]], video: VideoReader | LiveReader
    ) -> Iterator[tuple[VideoFrame, Answer]]:
        """The frames, with a progress bar on stderr if somebody looks on."""
        console = Console(stderr=True)
        if not console.is_terminal:
            return answers
        length = self.options.end or video.seconds
        count = None if length is None else max(1, round((length - self.options.start) * float(video.rate)))
        total = None if count is None else -(-count // self.options.every)
        return iter(track(answers, description="explaining", total=total, console=console, transient=True))


def _drawn(frame: VideoFrame, answer: Answer, story: Story, strip: Strip) -> tuple[ByteArray, str]:
    """The overlays of a frame side by side, and what it shows; the frame as it is where nothing was found."""
    try:
        result = answer()
    except NotInImageError as error:
        story.add_without(frame, error)
        return strip.of(frame.pixels, []), "not in this frame"
    if not result.explanations:
        story.add_without(frame, NotInImageError("Nothing was found in any frame."))
        return strip.of(frame.pixels, []), "nothing found"
    story.add(frame, result)
    first = result.explanations[0]
    title = f"{first.title}  ·  {first.note}" if first.note else first.title
    return strip.of(frame.pixels, [explanation.overlay() for explanation in result.explanations]), title
