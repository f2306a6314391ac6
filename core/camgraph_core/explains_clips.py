"""What explains clips and volumes: a graph in this process, or a model of a server. Both have this one method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_core.painter import ImageSource
from camgraph_core.request import Request
from camgraph_core.style import Style
from camgraph_core.target import Target
from camgraph_core.types import AnyArray
from camgraph_core.windows import Window, window_from

ClipSource: TypeAlias = str | Path | AnyArray | Sequence[ImageSource]
"""The path of a video, an array [T, H, W] or [T, H, W, C], or a list of images, as `Explains.explain` takes them."""

R = TypeVar("R")


@dataclass(frozen=True)
class Footage:
    """What a request is about: a clip of which frames are taken, or a ready tensor.

    Attributes:
        clip: The clip.
        tensor: The tensor [1, ...], in place of a clip.
        start: Of a video the second from which on frames are taken.
        end: Of a video the second up to which they are.

    """

    clip: ClipSource | None = None
    tensor: AnyArray | None = None
    start: float = 0.0
    end: float | None = None


class ExplainsClips(ABC, Generic[R]):
    """Explains clips; ``explain`` gives a `ClipResult`, or what is awaited for one."""

    def explain(
        self,
        clip: ClipSource | None = None,
        *,
        tensor: AnyArray | None = None,
        start: float = 0.0,
        end: float | None = None,
        window: Window | str | None = None,
        targets: Sequence[Target] = (),
        top_k: int = 0,
        method: str | None = None,
        layers: Sequence[str] = (),
        num_predictions: int = 5,
        outputs: Sequence[str] = (),
        style: Style | None = None,
        request_id: str = "",
    ) -> R:
        """Classifies a clip or volume and explains classes of it.

        Args:
            clip: Path of a video; an array [T, H, W] or [T, H, W, C]; or a list of images, as `Explains.explain` takes
                them. The graph says which of its frames the network gets, and a server is sent these alone.
            tensor: Instead of a clip, a ready input tensor of shape [1, ...], as the manifest's input says.
            start: Of a video the second from which on frames are taken.
            end: Of a video the second up to which they are.
            window: The values that become 0 and 255, where they are not of 8 bits, or their name; by default the range
                of the array.
            targets: What to explain.
            top_k: Also explains the k best classes; with neither, the best class.
            method: CAM method; by default the manifest's.
            layers: Target layers, fused if several; by default the manifest's first.
            num_predictions: Number of best classes to list.
            outputs: What to give back of each target, names of `camgraph_core.outputs.OUTPUTS`; by default the heatmap.
                A server sends these and no others. In one process all can be read, and these are checked beforehand.
            style: How pictures look.
            request_id: Comes back in the result, and is written to a server's log.

        Raises:
            InvalidInputError: The clip or the tensor cannot be used, frames differ in size, or they are too large
                together.
            TargetError: A target is out of range.
            UsageError: A name does not exist, or PyAV is not installed.
            UnsupportedError: The graph lacks what the method needs.
            InferenceError: onnxruntime failed, in this process.
            RemoteError: The server gave no answer, or failed.

        """
        if (clip is None) == (tensor is None):
            raise InvalidInputError("Give either a clip or a tensor to explain.")
        if clip is None and window is not None:
            raise UsageError("A window is for the frames of a clip; a tensor goes in as it is.")
        if not isinstance(clip, str | Path) and (start or end is not None):
            raise UsageError("A part in seconds is of a video; cut a list or an array yourself.")
        request = Request(
            targets=targets,
            top_k=top_k,
            method=method,
            layers=layers,
            num_predictions=num_predictions,
            outputs=outputs,
            style=style or Style(),
            window=window_from(window) if isinstance(window, str) else window,
            request_id=request_id,
        )
        return self._explain(Footage(clip, tensor, start, end), request)

    @abstractmethod
    def _explain(self, footage: Footage, request: Request) -> R:
        """Answers a request about a clip or a tensor."""
