"""What the model "image in, explanation out" is asked to explain: inputs that name targets, one way each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from google.protobuf import json_format

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.errors import InvalidInputError, TooLargeError
from camgraph_core.place import Mask
from camgraph_core.target import Rank, Target
from camgraph_core.types import AnyArray, FloatArray
from camgraph_wire.json_text import json_from
from camgraph_wire.targets import target_from

JSON_TARGETS = "target"
"""Name of the input whose targets are JSON, which takes long to read for its size."""

_MOST_JSON = 4 * 1024 * 1024  # bytes of all targets of a request that are JSON
_DEEPEST = 8  # messages inside one another


def targets_of(arrays: Mapping[str, AnyArray], *, negative: bool = False) -> list[Target]:
    """The targets of the inputs that name them: by index, label, rank, as JSON, and masks.

    Args:
        arrays: The inputs, of the types that they should have.
        negative: Whether what speaks against them is explained.

    Raises:
        InvalidInputError: A target cannot be read, or masks do not fit the targets.
        TooLargeError: The targets as JSON take too much.
        TargetError: A target contradicts itself.
    """
    targets = [target for name, read in _READERS.items() if name in arrays for target in read(arrays[name])]
    if "mask" in arrays:
        targets = list(_masked(targets, arrays["mask"]))
    return [replace(target, negative=True) for target in targets] if negative else targets


def similar_to(embeddings: Sequence[FloatArray | None], mode: str, *, negative: bool) -> Target:
    """The likeness to other images, by their embeddings.

    Args:
        embeddings: The embedding of each, [D]; None where the model gives none.
        mode: How several are taken together.
        negative: Whether the difference is explained.

    Raises:
        InvalidInputError: The model gives no embeddings.
        TargetError: They cannot be used.
    """
    rows = [row for row in embeddings if row is not None]
    if len(rows) < len(embeddings):
        raise InvalidInputError("The input reference is for models of embeddings, which this one is not.")
    return Target.similar_to(np.stack(rows), mode=mode, negative=negative)


def _masked(targets: list[Target], masks: AnyArray) -> Iterator[Target]:
    """Each target with its mask; one mask is for all, and without targets each is that of the predicted class."""
    if masks.ndim != 3 or masks.size == 0:
        raise InvalidInputError(f"The input mask is {list(masks.shape)}; send UINT8 [n, H, W], non-zero inside.")
    targets = targets or [Target()] * len(masks)
    if len(masks) not in (1, len(targets)):
        raise InvalidInputError(f"There are {len(masks)} masks for {len(targets)} targets; send one, or one for each.")
    for number, target in enumerate(targets):
        if target.place is not None:
            raise InvalidInputError(f"Target {number} has a place and a mask; send one of them.")
        yield replace(target, place=Mask(masks[number if len(masks) > 1 else 0]))


def _of_json(texts: AnyArray) -> Iterator[Target]:
    """Targets as the JSON of `camgraph.v1.Target`."""
    size = sum(map(len, texts.flat))
    if size > _MOST_JSON:
        raise TooLargeError(
            f"The targets as JSON take {size} bytes; the limit is {_MOST_JSON}. Send masks as the input mask."
        )
    for number, text in enumerate(texts.flat):
        value = json_from(text, f"Target {number}")
        if not isinstance(value, dict):
            raise InvalidInputError(f'Target {number} is not a JSON object such as {{"class_index": 3}}.')
        try:
            message = json_format.ParseDict(value, pb.Target(), max_recursion_depth=_DEEPEST)
        except (json_format.ParseError, RecursionError) as error:
            reason = str(error).splitlines()[0][:200]
            raise InvalidInputError(f"Target {number} cannot be read: {reason}") from error
        yield target_from(message)


def _label(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidInputError("A label in target_label is not UTF-8.") from error


_READERS: Mapping[str, Callable[[AnyArray], Any]] = {
    "target_index": lambda array: [Target(int(value)) for value in array.flat],
    "target_label": lambda array: [Target(_label(value)) for value in array.flat],
    "target_rank": lambda array: [Target(Rank(int(value))) for value in array.flat],
    JSON_TARGETS: _of_json,
}
