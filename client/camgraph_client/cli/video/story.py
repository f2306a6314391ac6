"""What was seen in a video, from when to when."""

from __future__ import annotations

from pathlib import Path

import click

from camgraph_client.cli.video.sheet import clock
from camgraph_core.errors import CamgraphError, InvalidInputError
from camgraph_core.result import Result
from camgraph_runtime.video.live import LiveSource
from camgraph_runtime.video.reading import VideoFrame

_MOST_LINES = 20


class Story:
    """What was seen from when to when, in a few lines however long the video is."""

    def __init__(self) -> None:
        self._scenes: list[tuple[str, float, float, int]] = []  # name, first and last second, frames; the first few
        self._name, self._changes = "", 0
        self._frames = self._without = 0
        self._problem: CamgraphError | None = None

    def add(self, frame: VideoFrame, result: Result) -> None:
        """Takes note of a frame."""
        self._frames += 1
        # The number of a box is another in every frame.
        target = result.explanations[0].target
        self._scene(target.label or target.name, frame.seconds)

    def add_without(self, frame: VideoFrame, problem: CamgraphError) -> None:
        """Takes note of a frame in which what is asked for was not found."""
        self._without += 1
        self._problem = self._problem or problem
        self._scene("not found", frame.seconds)

    def check(self, source: Path | LiveSource, problem: CamgraphError | None) -> None:
        """Raises what kept every frame from being explained, if something did; `problem` ended the run."""
        if not self._frames:
            raise self._problem or problem or InvalidInputError(f"{source} has no frame in the part that is asked for.")

    def print(self) -> None:
        """Says what was explained from when to when."""
        click.echo(f"{self._frames + self._without} frames" + (f", {self._without} without" if self._without else ""))
        for name, first, last, count in self._scenes:
            click.echo(f"  {clock(first)} - {clock(last)}  {name}, {count} frames")
        if self._changes > len(self._scenes):
            click.echo(f"  and {self._changes - len(self._scenes)} more changes")

    def _scene(self, name: str, seconds: float) -> None:
        is_new = name != self._name or not self._changes
        self._name, self._changes = name, self._changes + is_new
        if self._changes > _MOST_LINES:
            return
        if is_new:
            self._scenes.append((name, seconds, seconds, 1))
        else:
            _, first, _, count = self._scenes[-1]
            self._scenes[-1] = (name, first, seconds, count + 1)
