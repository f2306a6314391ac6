"""Memory for a run of a graph, lent before it and given back after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from camgraph_core.errors import TooLargeError
from camgraph_runtime.explainers import AnyExplainer
from camgraph_runtime.run.stop import Stop
from camgraph_server.budget import Budget
from camgraph_server.config.limits import MIB


@contextmanager
def memory_for_run(
    explainer: AnyExplainer, shape: Sequence[int], elements: int, targets: int, runs: Budget, stop: Stop
) -> Iterator[None]:
    """Waits for the memory of a run that takes more than is counted with its model.

    What holds it must wait for nothing else that is lent.

    Args:
        explainer: Runs the graph.
        shape: Shape of the image input, for the error.
        elements: Elements of the image input, as the graph gets it.
        targets: Targets of each image.
        runs: Memory for runs.
        stop: Ends the waiting.

    Raises:
        TooLargeError: It takes more than there is.
        StoppedError: `stop` ended the waiting.
    """
    memory = explainer.run_memory
    needed = 0 if memory is None else memory.beyond(elements, targets)
    if not needed:
        yield
        return
    if needed > runs.size:
        raise TooLargeError(
            f"To run the model for an input of {' x '.join(map(str, shape))} with {targets} "
            f"target{'s' if targets > 1 else ''} takes about {needed / MIB:.0f} MiB of memory, more than the "
            f"{runs.size / MIB:.0f} MiB that this server has for runs beside its models; send a smaller image, or ask "
            "for fewer targets."
        )
    with runs.lent_to_thread(needed, stop):
        try:
            yield
        finally:
            explainer.settle(elements)
