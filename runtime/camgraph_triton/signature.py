"""What a graph takes and gives and its manifest, in a file that is read where the graph itself runs elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from camgraph_runtime.run.engine import Engine, TensorInfo

FILE = "signature.json"
GRAPH = "model.onnx"


@dataclass(frozen=True)
class Signature:
    """What a graph takes and gives.

    Attributes:
        inputs: Its inputs, in its own order.
        outputs: Its outputs, in its own order.
        metadata: The metadata of its file, with the manifest.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    metadata: Mapping[str, str]

    @classmethod
    def of(cls, engine: Engine) -> Self:
        """That of a loaded graph."""
        return cls(tuple(engine.inputs.values()), tuple(engine.outputs.values()), engine.metadata)

    @classmethod
    def from_json(cls, data: str | bytes) -> Self:
        """That of a file of `to_json`."""
        fields = json.loads(data)
        return cls(_infos(fields["inputs"]), _infos(fields["outputs"]), fields["metadata"])

    def to_json(self) -> str:
        """The text of its file."""
        return json.dumps(asdict(self), indent=1)


def _infos(entries: list[dict[str, Any]]) -> tuple[TensorInfo, ...]:
    return tuple(TensorInfo(entry["name"], entry["dtype"], tuple(entry["shape"])) for entry in entries)
