"""Requests that are drawn at random: most are near the edge of what is valid, some are beyond."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image

from camgraph.v1 import explanation_pb2 as pb
from support.serving import photo

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
_LABELS = ("cat", "dog", "bird", "fish", "horse", "dgo", "", "x" * 5000, "🐈")
_METHODS = ("", "grad-cam", "hires-cam", "layer-cam", "eigen-cam", "grad-cam++", "gradcam")
_LAYERS = ("features", "conv", "last", "featuers", "")


class Draw:
    """Draws requests for the tiny graph; the same seed gives the same ones.

    Args:
        seed: Which ones.
        spoiled: Share of them that is spoiled afterwards, in the picture or in any byte.
    """

    def __init__(self, seed: int, spoiled: float = 0.5) -> None:
        self._random = np.random.default_rng(seed)
        self._spoiled = spoiled
        self._pictures = [self._picture() for _ in range(40)]

    def request(self) -> bytes:
        """The bytes of one request."""
        spoils = self._random.random() < self._spoiled
        in_picture = spoils and self._random.random() < 0.5
        data = self._pictures[self._random.integers(len(self._pictures))]
        message = self._message(self._spoil(data) if in_picture else data).SerializeToString()
        return self._spoil(message) if spoils and not in_picture else message

    def _message(self, picture: bytes) -> pb.ExplainRequest:
        message = pb.ExplainRequest()
        if self._chance(0.9):
            message.image.data = picture
        else:
            shape = [1, 3, 16, 16] if self._chance(0.8) else self._random.integers(-1, 20, 4).tolist()
            message.tensor.CopyFrom(pb.Tensor(dtype="float32", shape=shape, data=bytes(4 * 3 * 16 * 16)))
        self._maybe(0.1, lambda: setattr(message, "model_name", self._one(("tiny", "tiny", "tony"))))
        self._maybe(0.1, lambda: setattr(message, "model_version", self._one(("1", "2", "-1"))))
        self._maybe(0.3, lambda: setattr(message, "top_k", int(self._random.integers(-1, 7))))
        self._maybe(0.3, lambda: setattr(message, "method", self._one(_METHODS)))
        self._maybe(0.2, lambda: message.layers.extend(self._some(_LAYERS)))
        self._maybe(0.4, lambda: message.targets.extend(self._targets()))
        self._maybe(
            0.6, lambda: message.outputs.extend(self._random.integers(0, 13, 1 + self._random.integers(4)).tolist())
        )
        self._maybe(0.1, lambda: setattr(message, "profile", int(self._random.integers(0, 4))))
        self._maybe(0.2, lambda: setattr(message, "max_side", int(self._random.integers(0, 300))))
        self._maybe(0.1, lambda: setattr(message.overlay, "image_weight", float(self._random.normal(0.5, 0.5))))
        self._maybe(0.1, lambda: setattr(message.overlay, "jpeg_quality", int(self._random.integers(0, 120))))
        return message

    def _outputs(self) -> list[int]:
        kinds: list[int] = self._random.integers(0, 13, 1 + self._random.integers(4)).tolist()
        return kinds

    def _targets(self) -> list[pb.Target]:
        return [
            self._one(
                (
                    pb.Target(class_index=int(self._random.integers(-1, 6))),
                    pb.Target(rank=int(self._random.integers(0, 6))),
                    pb.Target(label=self._one(_LABELS)),
                    pb.Target(class_index=1, contrast=pb.Target(class_index=2)),
                    pb.Target(negative=True, rank=1),
                )
            )
            for _ in range(1 + self._random.integers(3))
        ]

    def _picture(self) -> bytes:
        width, height = (int(side) for side in 2 ** self._random.uniform(0, 9, 2))
        buffer = BytesIO()
        image = Image.fromarray(photo(width, height, int(self._random.integers(100))))
        image = image.convert(self._one(("RGB", "L"))) if self._chance(0.3) else image
        image.save(buffer, self._one(_FORMATS))
        return buffer.getvalue()

    def _spoil(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(1 + self._random.integers(4)):
            at = int(self._random.integers(len(changed) + 1))
            match self._random.integers(4):
                case 0:
                    changed[at : at + 1] = self._random.bytes(1)
                case 1:
                    del changed[at : at + int(self._random.integers(20))]
                case 2:
                    changed[at:at] = self._random.bytes(int(self._random.integers(20)))
                case 3:
                    changed[at:at] = changed[: int(self._random.integers(200))]
        return bytes(changed)

    def _chance(self, share: float) -> bool:
        return bool(self._random.random() < share)

    def _maybe(self, share: float, work: Callable[[], object]) -> None:
        if self._chance(share):
            work()

    def _one(self, values):
        return values[self._random.integers(len(values))]

    def _some(self, values):
        return [self._one(values) for _ in range(1 + self._random.integers(2))]
