"""Makes docs/operators.md from the vjp rules, the rows of traits, the table of operator cases and the ONNX standard."""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import onnx

from camgraph_exporter.graph.traits import IMPLIED, MEANINGS, OPERATORS, Operator, Trait
from camgraph_exporter.vjp import driver as _driver  # noqa: F401  importing the driver registers the rules
from camgraph_exporter.vjp import registry
from camgraph_exporter.vjp.registry import Entry
from page_text import paragraph, table

# The newest opset whose operators the page lists; an installed onnx may know more.
NEWEST_OPSET = 28

# What becomes other operators before the model is differentiated, and when.
REWRITTEN = {
    "If": "the branch that it takes, where the condition does not depend on the image",
    "Scatter": "ScatterElements, as the model is lifted to opset 13",
    "SequenceAt": "an output of Split, where it reads a constant place of SplitToSequence's list",
    "SplitToSequence": "Split, where its list is only read at constant places",
    "Upsample": "Resize, as the model is lifted to opset 13",
}

# Why the operators without a rule have none. One that is not named here is listed all the same.
REFUSED = {
    "A body that runs as the data say": ("Loop", "Scan", "SequenceMap"),
    "Lists and optional values, unless rewritten as above": (
        *("ConcatFromSequence", "Optional", "OptionalGetElement"),
        *("SequenceConstruct", "SequenceErase", "SequenceInsert"),
    ),
    "State that is carried from step to step: the gradient needs every state, and the operator gives the last": (
        *("CausalConvWithState", "GRU", "LSTM", "LinearAttention", "RNN", "TensorScatter"),
    ),
    "Losses of training": ("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"),
    "Samples at places that the network predicts: the gradient by those places is needed as well": (
        "DeformConv",
        "MaxRoiPool",
        "RoiAlign",
    ),
    "Not seen in vision models": ("CumProd", "Det", "STFT"),
    "onnxruntime does not run it yet": ("SwiGLU",),
}

_INTRODUCTION = """
`camgraph export` differentiates the operators between the target layer and the score. Operators elsewhere in the model
do not matter. On that path an operator has either
"""

_KINDS = """
- a **rule**: its derivative, checked case by case ([how](adding-an-operator.md#3-write-its-cases));
- a **stop**: no gradient passes it by its nature. That is not an error unless every way to the score is stopped;
- a form that is **rewritten** to other operators first;
- or nothing: the model is **refused**, with the names of all such nodes at once. A layer after
  them (closer to the output) can be explained.
"""


def make() -> str:
    """The whole page."""
    names = standard_operators()
    standard = {entry.op_type: entry for entry in registry.entries() if not entry.domain}
    others = [entry for entry in registry.entries() if entry.domain]
    rules = [entry for entry in standard.values() if entry.rule is not None]
    stops = [entry for entry in standard.values() if entry.rule is None]
    rewritten = [name for name in sorted(REWRITTEN) if name in names and name not in standard]
    refused = sorted(names - standard.keys() - set(rewritten))
    counts = (
        f"Of the {len(names)} operators of `ai.onnx` up to opset {NEWEST_OPSET}, {len(rules)} have a rule, "
        f"{len(stops)} are stops, {len(rewritten)} are rewritten and {len(refused)} are refused."
    )
    parts = [
        "# Supported operators",
        "<!-- Made by scripts/generate_pages.py from the code; a test fails when it is stale. -->",
        paragraph(_INTRODUCTION),
        _KINDS.strip(),
        paragraph(counts),
        "## Rules",
        paragraph(_RULES),
        _rules(rules),
        "Operators of other domains, which quantising tools write:",
        _rules(others),
        "## Stops",
        table(["why no gradient passes", "operators"], _stops(stops)),
        "## Rewritten",
        table(["operator", "becomes"], [[name, REWRITTEN[name]] for name in rewritten]),
        "## Refused by name",
        paragraph(_REFUSALS),
        table(["why", "operators"], _refused(refused)),
        "## Traits",
        paragraph(_TRAITS),
        table(["trait", "what it says"], _meanings()),
        "Operators without a rule have these:",
        table(["traits", "operators"], _traits_of(names - {entry.op_type for entry in rules})),
    ]
    return "\n\n".join(parts) + "\n"


_RULES = """
`g` is the cotangent of the output `y`, `dx` that of the input `x`; other letters are the operator's own inputs. "From
opset": the rule's own operators exist from there on, and a model with an older opset is lifted. "Cases": how many
operator cases check the rule, [on real numbers](../tests/exporter/op_cases) or
[on integers](../tests/exporter/quantised_cases.py). "Traits": [what else is known of the operator](#traits).
"""

_TRAITS = """
Which layers a model has, where their maps lie, what still is the image, where a quantiser may have clipped: traits of
operators answer such questions. Each trait is stated once per operator. One that follows from another is not repeated.
"""

_REFUSALS = """
What is on this list and on the path between layer and score is refused, and so is every operator of another domain that
is not listed above. [Adding an operator](adding-an-operator.md) is one short function, its row of traits and its cases.
"""


def standard_operators() -> set[str]:
    """Names of all operators of ai.onnx up to NEWEST_OPSET.

    Raises:
        SystemExit: The installed onnx is older than that.

    """
    if onnx.defs.onnx_opset_version() < NEWEST_OPSET:
        raise SystemExit(
            f"The page lists operators up to opset {NEWEST_OPSET}; onnx {onnx.__version__} knows them "
            f"up to {onnx.defs.onnx_opset_version()}. Install a newer onnx."
        )
    schemas = onnx.defs.get_all_schemas_with_history()
    return {schema.name for schema in schemas if schema.domain == "" and schema.since_version <= NEWEST_OPSET}


def case_counts() -> Counter[tuple[str, str]]:
    """Rows of the tables of operator cases, by domain and operator.

    Quantisers have none of their own: every row on integers goes through them.
    """
    tests = str(Path(__file__).resolve().parent.parent / "tests")
    if tests not in sys.path:
        sys.path.insert(0, tests)
    plain = importlib.import_module("exporter.op_cases").ALL_CASES
    quantised = importlib.import_module("exporter.quantised_cases")
    counts = Counter((case.domain, case.op_type) for case in (*plain, *quantised.CASES))
    counts.update({key: len(quantised.CASES) for key in quantised.COVERED - counts.keys()})
    return counts


def _rules(entries: Iterable[Entry]) -> str:
    counts = case_counts()
    rows = []
    for entry in entries:
        name = f"{entry.domain}.{entry.op_type}" if entry.domain else entry.op_type
        row = OPERATORS[entry.domain, entry.op_type]
        count = str(counts[entry.domain, entry.op_type])
        rows.append([name, entry.summary, str(entry.opset), count, in_words(row)])
    return table(["operator", "derivative", "from opset", "cases", "traits"], rows)


def in_words(row: Operator) -> str:
    """What a row says of an operator: traits that do not follow from others, its range, its twin."""
    implied = Trait.NONE
    for trait in row.traits:
        implied |= IMPLIED.get(trait, Trait.NONE)
    words = [_word(trait) for trait in row.traits & ~implied]
    if row.bounds is not None:
        low, high = (f"{bound:.4g}" for bound in row.bounds)
        words.append(f"in [{low}, {high}]")
    if row.twin:
        words.append(f"{row.twin} of integers")
    return ", ".join(words)


def _word(trait: Trait) -> str:
    return str(trait.name).lower().replace("_", " ")


def _meanings() -> list[list[str]]:
    """Each trait, what it says, and what follows from it."""
    rows = []
    for trait, meaning in MEANINGS.items():
        follows = ", ".join(_word(other) for other in IMPLIED.get(trait, Trait.NONE))
        rows.append([_word(trait), f"{meaning} So: {follows}." if follows else meaning])
    return rows


def _traits_of(names: Iterable[str]) -> list[list[str]]:
    """Operators of ai.onnx that have traits, those with the same together."""
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(in_words(OPERATORS["", name]), []).append(name)
    return [[words, ", ".join(listed)] for words, listed in sorted(groups.items()) if words]


def _stops(entries: Iterable[Entry]) -> list[list[str]]:
    reasons: dict[str, list[str]] = {}
    for entry in entries:
        reasons.setdefault(entry.summary, []).append(entry.op_type)
    return [[reason, ", ".join(sorted(names))] for reason, names in sorted(reasons.items())]


def _refused(names: Iterable[str]) -> list[list[str]]:
    """Group the operators by reason; none is left out for want of one."""
    left = set(names)
    rows = []
    for reason, listed in REFUSED.items():
        there = sorted(left & set(listed))
        left -= set(there)
        if there:
            rows.append([reason, ", ".join(there)])
    return [*rows, ["No rule yet", ", ".join(sorted(left))]] if left else rows
