"""A graph's own inputs and outputs, given by a caller: checked, run once, and given back as they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from camgraph_core.errors import InferenceError, InvalidInputError
from camgraph_core.names import unknown_name
from camgraph_core.types import AnyArray
from camgraph_runtime.run.stop import Stop
from camgraph_runtime.steps import Steps


def tensor_feeds(explainer: Steps, inputs: Mapping[str, AnyArray], outputs: Sequence[str]) -> dict[str, AnyArray]:
    """The inputs of a run, with gradients where the graph has a switch for them and nobody has set it.

    Args:
        explainer: Holds the graph.
        inputs: What the caller gives, by name.
        outputs: Names of the outputs that are wanted.

    Raises:
        UsageError: An output does not exist.
        InvalidInputError: There are more targets than are allowed.
    """
    for name in outputs:
        if name not in explainer.engine.outputs:
            raise unknown_name("output", name, explainer.engine.outputs)
    switch = explainer.manifest.explain_switch
    feeds = {switch: np.array(True), **inputs} if switch else dict(inputs)
    _check_targets(explainer, feeds)
    return feeds


def run_feeds(
    explainer: Steps, feeds: Mapping[str, AnyArray], outputs: Sequence[str], stop: Stop | None = None
) -> dict[str, AnyArray]:
    """Runs the graph once.

    Args:
        explainer: Holds the graph.
        feeds: What `tensor_feeds` gives.
        outputs: Names of the outputs that are wanted; all without any.
        stop: Ends the run.

    Raises:
        InvalidInputError: An input is missing, unknown or does not fit.
        StoppedError: `stop` ended the run.
    """
    try:
        return explainer.engine.run(feeds, outputs or None, stop)
    except InferenceError as error:
        raise InvalidInputError(
            f"The graph cannot be run with these inputs; check the values of its targets. {error}"
        ) from error


def _check_targets(explainer: Steps, inputs: Mapping[str, AnyArray]) -> None:
    """Refuses too many targets: each is a way back through the graph, for each image."""
    names = {getattr(explainer.manifest.target, item.field) for item in explainer.task.inputs}
    most = explainer.limits.max_targets
    for name in names & inputs.keys():
        count = math.prod(inputs[name].shape[:2])
        if count > most:
            raise InvalidInputError(
                f"The input {name!r} has {count} targets, images times targets of each; the limit is {most}."
            )
