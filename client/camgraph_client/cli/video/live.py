"""Live sources on the command line: how they are named, and how a run over one ends."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from camgraph_runtime.video.live import LiveSource


class PathOrLive(click.Path):
    """The path of a file, a folder or a pattern; or the device or address of a live source."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """What the text names, a `Path` or a `LiveSource`."""
        live = LiveSource.parse(value) if isinstance(value, str) else None
        return live or super().convert(value, param, ctx)


@contextmanager
def ended_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM calls `stop`, so that what is written ends whole; a second one does as usual."""
    before: dict[int, Any] = {}

    def handle(number: int, _: FrameType | None) -> None:
        signal.signal(number, before[number])
        stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, handle) or signal.SIG_DFL
    try:
        yield
    finally:
        for each, usual in before.items():
            signal.signal(each, usual)
