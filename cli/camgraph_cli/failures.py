"""From an exception to one line for the user and an exit code: 1 the work failed, 2 wrong usage."""

from __future__ import annotations

from dataclasses import dataclass

import click

from camgraph_core.errors import CamgraphError

_EXTRA_OF_PACKAGE = {
    "grpc": "client",
    "grpc_health": "serve",
    "grpc_reflection": "serve",
    "onnx": "export",
    "onnx_ir": "export",
    "onnxruntime": "cpu",
    "onnxscript": "torch",
    "rich": "cli",
    "threadpoolctl": "cli",
    "torch": "torch",
}


@dataclass(frozen=True)
class Failure:
    """What the user reads on stderr, and the exit code of the process."""

    message: str
    exit_code: int


def describe(error: BaseException) -> Failure:
    """Turns the exception that ended a command into a failure."""
    if isinstance(error, CamgraphError):
        return Failure(str(error), error.exit_code)
    if isinstance(error, click.UsageError):
        return Failure(_usage_message(error), 2)
    if isinstance(error, click.ClickException):
        return Failure(error.format_message(), error.exit_code)
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return Failure("Stopped before the work was done.", 1)
    if isinstance(error, ModuleNotFoundError) and missing_extra(error) is not None:
        return Failure(missing_extra_message(error), 1)
    if isinstance(error, OSError):
        return Failure(_os_message(error), 1)
    return Failure(_unexpected_message(error), 1)


def missing_extra(error: ModuleNotFoundError, command: str = "") -> str | None:
    """The extra of the distribution that brings the missing package; None if it is none of ours."""
    package = (error.name or "").partition(".")[0]
    if package == "grpc" and command == "serve":
        return "serve"
    return _EXTRA_OF_PACKAGE.get(package)


def missing_extra_message(error: ModuleNotFoundError, command: str = "") -> str:
    """Says which package is missing and which extra brings it."""
    extra = missing_extra(error, command)
    subject = f"camgraph {command}" if command else "This command"
    return f"{subject} needs the package {error.name!r}: install it with pip install 'camgraph[{extra}]'."


def _usage_message(error: click.UsageError) -> str:
    message = error.format_message()
    if error.ctx is None:
        return message
    return f"{message} See {error.ctx.command_path} --help."


def _os_message(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    return f"Cannot use {error.filename!r}: {reason}." if error.filename is not None else f"{reason}."


def _unexpected_message(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "There is not enough memory. See whether a limit of this process, such as ulimit -d, is too low."
    first_line = str(error).strip().partition("\n")[0].rstrip(".")
    detail = f": {first_line}" if first_line else ""
    return f"Unexpected {type(error).__name__}{detail}. This is a fault of camgraph; --debug shows where."
