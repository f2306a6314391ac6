"""Fields of answers of this server and a real Triton that differ, and all differences as `docs/triton.md` has them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from conformance import CASES
from extensions import EXTENSIONS

ALL_CASES = [*CASES, *EXTENSIONS]


@dataclass(frozen=True)
class Difference:
    """Fields of answers that differ.

    Attributes:
        method: The method.
        fields: The fields.
        why: Why they differ.
        only: Words of `Case.what` where they may; everywhere without any.
    """

    method: str
    fields: tuple[str, ...]
    why: str
    only: str = ""


_SWITCH = "The switch for gradients is not listed by this server. Triton knows no inputs that are not listed."
RUNS = "Each names what runs its models. Triton's names depend on the backend."
LABELS = "Triton has files with labels."
HOW_IT_RUNS = ("default_model_filename", "instance_group", "optimization", "parameters", "version_policy")
OWN_SETTINGS = "How Triton runs a model. This server has its own settings for that."

DIFFERENCES = [
    Difference("ServerMetadata", ("name", "version"), "They are two programs."),
    Difference("ServerMetadata", ("extensions",), "Each lists those that it has."),
    Difference("ModelMetadata", ("platform",), RUNS),
    Difference("ModelMetadata", ("inputs",), _SWITCH, "with a switch"),
    Difference("ModelConfig", ("platform", "backend"), RUNS),
    Difference("ModelConfig", ("input",), _SWITCH, "with a switch"),
    Difference("ModelConfig", ("output",), LABELS, "of a model"),
    Difference(
        "ModelConfig",
        HOW_IT_RUNS,
        OWN_SETTINGS,
    ),
    Difference(
        "ModelStreamInfer",
        ("parameters",),
        "Each answer of this server says that it is the last one of its request, errors too.",
        "an error",
    ),
    Difference(
        "ModelInfer",
        ("outputs",),
        "Triton gives all outputs where a request names none. This server leaves out pictures, which cost time.",
        "without names of outputs",
    ),
]


def table_of(rows: Iterable[tuple[object, ...]], differences: Iterable[Difference]) -> str:
    """Two tables of a page: requests with both statuses and why they differ, and fields of answers that differ."""
    lines = ["| request | this server | Triton | why |", "| -- | -- | -- | -- |"]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    lines += ["", "| answer | fields that differ | why |", "| -- | -- | -- |"]
    lines += [
        f"| `{item.method}` | {', '.join(f'`{field}`' for field in item.fields)} | {item.why} |" for item in differences
    ]
    return "\n".join(lines)


def page_section() -> str:
    """The differences as `docs/triton.md` has them."""
    rows = [
        (f"`{case.method}`: {case.what}", f"`{case.ours}`", f"`{case.triton}`", case.why)
        for case in ALL_CASES
        if case.why
    ]
    return table_of(rows, DIFFERENCES)
