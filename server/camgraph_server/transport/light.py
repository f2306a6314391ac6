"""Answers whose message is made in less time than a thread takes to begin with it."""

from __future__ import annotations

from camgraph_core.clips import AnyResult, ClipResult
from camgraph_server.models.tensors import TensorResult

_MOST_PREDICTIONS = 32
_MOST_EXPLANATIONS = 4
_MOST_ENTRIES = 32  # of lists that are outputs, such as hot regions


def is_light(value: AnyResult | TensorResult) -> bool:
    """Whether the message of an answer has few fields; how many bytes are in these is not looked at."""
    if isinstance(value, TensorResult):
        return True
    if isinstance(value, ClipResult):  # many of its fields come once for each frame
        return False
    lists = [output for item in value.explanations for output in item.given.values() if isinstance(output, tuple)]
    return (
        len(value.predictions) <= _MOST_PREDICTIONS
        and len(value.explanations) <= _MOST_EXPLANATIONS
        and sum(map(len, lists)) <= _MOST_ENTRIES
    )
