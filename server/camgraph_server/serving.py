"""A server in this process, from its start to the end of the process."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable

from camgraph_core.errors import CamgraphError
from camgraph_runtime.run.blas import limit_blas_threads
from camgraph_server.assembly import MakeChanges
from camgraph_server.config import ServerConfig
from camgraph_server.errors import UndrainedError
from camgraph_server.heap import keep_little
from camgraph_server.lifecycle import Server
from camgraph_server.models.changes import OwnChanges
from camgraph_server.observe.log import configure_logging, log_settings
from camgraph_server.observe.stderr import captured_stderr


def serve_here(
    config: ServerConfig, on_ready: Callable[[Server], None], make_changes: MakeChanges = OwnChanges
) -> None:
    """Serves until SIGTERM or SIGINT. The process ends here if a thread still works.

    Args:
        config: The settings.
        on_ready: Called with the server once every model is loaded.
        make_changes: Makes what carries out changes of models; by default that of one process.

    Raises:
        UndrainedError: Some requests did not finish in time.
        CamgraphError: It cannot start.
    """
    keep_little()
    limit_blas_threads()
    configure_logging(config.log_format, config.log_level)
    log_settings(config)
    try:
        with captured_stderr():
            server = Server(config, make_changes=make_changes)
            drained = asyncio.run(server.run(lambda _: on_ready(server)))
    finally:
        logging.shutdown()  # the last lines leave before the command says why it ends
    problem = None if drained else UndrainedError.after(config.grace)
    if server.is_stuck:
        _end_now(problem)
    if problem is not None:
        raise problem


def _end_now(problem: CamgraphError | None) -> None:
    """Ends the process although a thread still works: Python would wait for it, and nobody waits for its result."""
    if problem is not None:
        sys.stderr.write(f"Error: {problem}\n")
    os._exit(0 if problem is None else problem.exit_code)
