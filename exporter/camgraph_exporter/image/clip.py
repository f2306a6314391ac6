"""How a clip or a volume becomes the input: how many frames, which of them, and what they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import UsageError
from camgraph_core.settings import Setting

_KINDS = ("time", "depth")


@dataclass(frozen=True, kw_only=True)
class ClipInput:
    """How clips or volumes were prepared in training; None leaves it to a marked guess."""

    frame_step: Annotated[
        int | None,
        Setting(
            "Every how many frames of a video the clip has one; 0 spreads them evenly over all that is given.",
            at_least=0,
        ),
    ] = None
    frames_are: Annotated[
        str | None,
        Setting("What follows along the axis of frames: moments in time, or slices of a volume.", choices=_KINDS),
    ] = None

    @property
    def speaks_of_clips(self) -> bool:
        """Whether anything is stated."""
        return self.frame_step is not None or self.frames_are is not None


def clip_of(frames: int, channels: int, stated: ClipInput) -> pb.Clip:
    """Return how a clip of so many frames and channels is made, as stated or guessed."""
    kind = stated.frames_are or ("depth" if channels == 1 else "time")
    return pb.Clip(frames=frames, step=stated.frame_step or 0, is_volume=kind == "depth")


def notes_on_clip(spec: pb.InputSpec, stated: ClipInput) -> list[str]:
    """Say what was guessed.

    Raises:
        UsageError: something is stated of frames, and the model takes single images.

    """
    if not spec.HasField("clip"):
        if stated.speaks_of_clips:
            raise UsageError("--frame-step and --frames-are are for models of clips or volumes; this one takes images.")
        return []
    clip, notes = spec.clip, []
    if stated.frames_are is None:
        kind = "slices of a volume, as it has one channel" if clip.is_volume else "frames of a clip"
        notes.append(f"The {clip.frames} images of an input were taken for {kind}. State it with --frames-are.")
    if stated.frame_step is None:
        what = "slices" if clip.is_volume else "frames"
        notes.append(
            f"Which {what} the network gets was not stated: {clip.frames} of them, spread evenly over all that "
            "is given. State it with --frame-step."
        )
    return notes
