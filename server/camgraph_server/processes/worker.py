"""The main function of a worker process. Its settings come through stdin, what it says of itself goes to stdout."""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import threading
from typing import TextIO

from camgraph_core.errors import CamgraphError
from camgraph_server.config import ServerConfig
from camgraph_server.serving import serve_here


def main() -> None:
    """Serves until a signal, or until the supervisor has gone."""
    reports = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no report
    config: ServerConfig = pickle.load(sys.stdin.buffer)  # from the supervisor, which started this process
    threading.Thread(target=_follow_supervisor, name="camgraph-supervised", daemon=True).start()
    try:
        serve_here(config, lambda server: _report(reports, ready=server.address, metrics=server.metrics_address))
    except CamgraphError as error:
        _report(reports, problem=str(error), exit_code=error.exit_code)
        sys.exit(error.exit_code)


def _report(reports: TextIO, **facts: object) -> None:
    reports.write(json.dumps(facts) + "\n")
    reports.flush()


def _follow_supervisor() -> None:
    """Stops this process when the other end of stdin is closed: nobody would restart or stop it any more."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
