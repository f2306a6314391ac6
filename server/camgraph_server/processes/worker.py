"""The main function of a worker process. Its settings come through stdin, what it says of itself goes to stdout."""

from __future__ import annotations

import os
import pickle
import sys
from functools import partial

from camgraph_core.errors import CamgraphError
from camgraph_server.config import ServerConfig
from camgraph_server.processes.link import Link
from camgraph_server.processes.messages import CannotStart, Ready
from camgraph_server.processes.shared_changes import SharedChanges
from camgraph_server.serving import serve_here


def main() -> None:
    """Serves until a signal, or until the supervisor has gone."""
    reports = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no report
    config: ServerConfig
    unloaded: list[str]
    config, unloaded = pickle.load(sys.stdin.buffer)  # from the supervisor, which started this process
    link = Link(os.fdopen(os.dup(0), "rb", buffering=0), reports)  # which says nothing more until it hears of this one
    try:
        serve_here(
            config, lambda server: link.send(Ready(server.metrics_address)), partial(SharedChanges, link, unloaded)
        )
    except CamgraphError as error:
        link.send(CannotStart(str(error), error.exit_code))
        sys.exit(error.exit_code)
