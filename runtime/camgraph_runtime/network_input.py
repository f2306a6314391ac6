"""What goes into the network for one image."""

from __future__ import annotations

from dataclasses import dataclass

from camgraph_core.types import AnyArray
from camgraph_runtime.preprocess import Frame, PreparedPhoto


@dataclass(frozen=True)
class NetworkInput:
    """What goes into the network for one image, and the way back.

    Attributes:
        tensor: The network's input, [1, ...].
        frame: Where the photo lies in the network's input.
        prepared: The photo and its preprocessing; None where the caller gave a tensor.
        decode_ms: Time for decoding.
        preprocess_ms: Time for geometry and normalisation.

    """

    tensor: AnyArray
    frame: Frame
    prepared: PreparedPhoto | None = None
    decode_ms: float = 0.0
    preprocess_ms: float = 0.0
