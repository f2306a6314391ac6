"""The model "image in, explanation out": tensors of the Open Inference Protocol as a request.

What `camgraph.v1.ExplainRequest` can say of an image is said here by inputs, outputs and parameters; docs/kserve.md
lists them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_core.names import unknown_name
from camgraph_core.place import REFERENCE_MODES
from camgraph_core.request import Addressed, Request
from camgraph_core.style import Style
from camgraph_core.types import AnyArray, FloatArray
from camgraph_wire.open_inference.explanation_outputs import DEFAULT, OF_SOME, OUTPUTS, drawn_for, is_of_bank
from camgraph_wire.open_inference.explanation_parameters import of_request, of_style, of_targets
from camgraph_wire.open_inference.explanation_targets import similar_to, targets_of

INPUTS: Mapping[str, tuple[str, list[int]]] = {
    "image": ("BYTES", [1]),
    "target_index": ("INT64", [-1]),
    "target_label": ("BYTES", [-1]),
    "target_rank": ("INT64", [-1]),
    "target": ("BYTES", [-1]),
    "mask": ("UINT8", [-1, -1, -1]),
    "reference": ("BYTES", [-1]),
}
"""Datatype and shape of each input. All but the first may be left out."""

_DTYPES = {"BYTES": "object", "INT64": "int64", "UINT8": "uint8"}


@dataclass(frozen=True)
class Subject:
    """Which model is asked.

    Attributes:
        model: Name of the graph.
        version: Its version; empty means the newest.
        request_id: The caller's name of the request.
    """

    model: str
    version: str = ""
    request_id: str = ""


@dataclass(frozen=True)
class AskedExplanation:
    """What is asked of such a model.

    Attributes:
        addressed: The request, without the target that `references` are.
        outputs: Names of the outputs, of `OUTPUTS`.
        references: Images whose embeddings are needed first.
        mode: How several of them are taken together.
        negative: Whether the difference from them is explained.
    """

    addressed: Addressed
    outputs: tuple[str, ...]
    references: tuple[bytes, ...] = ()
    mode: str = REFERENCE_MODES[0]
    negative: bool = False

    @property
    def of_references(self) -> list[Addressed]:
        """What is asked for the embedding of each reference; it is read as the image is."""
        request = self.addressed.request
        asked = Request(
            num_predictions=0,
            outputs=drawn_for(()),
            window=request.window,
            nodata=request.nodata,
            scaled_decoding=request.scaled_decoding,
            request_id=request.request_id,
        )
        return [replace(self.addressed, request=asked, image=image) for image in self.references]

    def held_against(self, embeddings: Sequence[FloatArray | None]) -> Addressed:
        """The request with the likeness to the references as its last target.

        Args:
            embeddings: Those of the references; of none, it is the request as it is.

        Raises:
            InvalidInputError: The model gives no embeddings.
            TargetError: They cannot be used.
        """
        if not self.references:
            return self.addressed
        request = self.addressed.request
        target = similar_to(embeddings, self.mode, negative=self.negative)
        return replace(self.addressed, request=replace(request, targets=[*request.targets, target]))


def asked_from(
    subject: Subject,
    outputs: Iterable[str],
    arrays: Mapping[str, AnyArray],
    parameters: Mapping[str, Any],
    max_targets: int | None = None,
) -> AskedExplanation:
    """What a request asks.

    Args:
        subject: Which model is asked, and under which identifier.
        outputs: Names of the outputs that are wanted; without any, those that cost little; of all, those that every
            model has.
        arrays: Its inputs.
        parameters: Its parameters as Python's bool, int, float or str; those that are not known are ignored.
        max_targets: Largest number of targets that are named, and of references; None for any number.

    Raises:
        InvalidInputError: An input is missing, not known, or of the wrong type or shape; or too many targets are named.
        TooLargeError: Targets take too much.
        UsageError: An output is not known, or the value of a parameter cannot be used.
        TargetError: A target cannot be used.
    """
    wanted = tuple(dict.fromkeys(outputs)) or DEFAULT
    for output in wanted:
        if output not in OUTPUTS:
            raise unknown_name("output", output, OUTPUTS)
    if len(wanted) == len(OUTPUTS):  # programs name all that a model lists where their user names none
        wanted = tuple(name for name in wanted if name not in OF_SOME)
    _check_inputs(arrays, max_targets)
    [image] = arrays["image"].ravel()
    references = tuple(arrays["reference"].flat) if "reference" in arrays else ()
    of_all = of_targets(parameters)
    negative, mode = of_all.get("negative", False), of_all.get("reference_mode", REFERENCE_MODES[0])
    if mode not in REFERENCE_MODES:
        raise unknown_name("reference mode", mode, REFERENCE_MODES)
    targets = targets_of(arrays, negative=negative)
    if negative and not (targets or references):
        raise UsageError("The parameter negative is about targets that are named, and the request names none.")
    request = Request(
        targets=targets,
        outputs=drawn_for(wanted),
        bank=any(map(is_of_bank, wanted)),
        style=replace(Style(), **of_style(parameters)),
        request_id=subject.request_id,
        **of_request(parameters),
    )
    addressed = Addressed(request=request, image=image, model=subject.model, version=subject.version)
    return AskedExplanation(addressed, wanted, references, mode, negative)


def _check_inputs(arrays: Mapping[str, AnyArray], max_targets: int | None) -> None:
    for name, array in arrays.items():
        if name not in INPUTS:
            raise InvalidInputError(f"The model has no input {name!r}; it takes {', '.join(INPUTS)}.")
        datatype = INPUTS[name][0]
        if array.dtype.name != _DTYPES[datatype]:
            raise InvalidInputError(f"The input {name!r} has the wrong datatype; send {datatype}.")
    if "image" not in arrays:
        raise InvalidInputError("The input 'image' is missing; send the bytes of one image.")
    if arrays["image"].size != 1:
        raise InvalidInputError(f"The input 'image' has {arrays['image'].size} images; send one per request.")
    masks = len(arrays["mask"]) if "mask" in arrays and arrays["mask"].ndim else 0
    targets = sum(array.size for name, array in arrays.items() if name.startswith("target"))
    references = arrays["reference"].size if "reference" in arrays else 0
    for count, what in ((max(targets, masks), "targets"), (references, "references")):
        if max_targets is not None and count > max_targets:
            raise InvalidInputError(f"The request names {count} {what}; the limit is {max_targets}.")
