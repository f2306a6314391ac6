"""The command `camgraph doctor`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click


@click.command()
@click.option(
    "--model-repository",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Also load the models of this directory, as a server does.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(model_repository: Path | None, as_json: bool) -> None:
    """Say what this machine gives to camgraph, and what it lacks.

    Execution providers, libraries that cannot be loaded, abilities of the CPU, exact 8-bit sums, cores, threads,
    memory, what a server takes of it, and with --model-repository the state of each model. What is not installed is
    left out. The exit code is 1 if a library or a model cannot be loaded.
    """
    found = _found(model_repository)
    if as_json:
        click.echo(json.dumps(found))
    else:
        width = max(len(name) for name, _ in _rows(found))
        for name, text in _rows(found):
            click.echo(f"{name:{width}}  {text}")
    if any(found["libraries"].values()) or any(model["state"] != "ready" for model in found.get("models") or ()):
        raise click.exceptions.Exit(1)


def _found(repository: Path | None) -> dict[str, Any]:
    from camgraph_runtime.run.libraries import load_libraries  # noqa: PLC0415 - the root command starts without it
    from camgraph_runtime.run.machine import look_at_machine  # noqa: PLC0415 - as above

    libraries = load_libraries()
    found = {**dataclasses.asdict(look_at_machine()), "blas": _blas(), "libraries": libraries}
    try:
        from camgraph_server.examination import examine  # noqa: PLC0415 - the server is an extra
    except ImportError as error:
        if repository is not None:
            raise click.ClickException(
                f"The models are loaded by the extra 'serve', which lacks {error.name}."
            ) from error
        return found
    server = dataclasses.asdict(examine(repository))
    models, runs = server.pop("models"), server.pop("runs")
    if models is None:
        del server["left_for_runs"]
        return {**found, "server": server}
    return {
        **found,
        "server": server,
        "models": [model | {"run": run} for model, run in zip(models, runs, strict=True)],
    }


def _blas() -> list[dict[str, Any]]:
    """The libraries of linear algebra in this process, with their threads."""
    try:
        from threadpoolctl import threadpool_info  # noqa: PLC0415 - of the extra `cli`
    except ImportError:
        return []
    keys = ("internal_api", "version", "num_threads")
    return [{key: info.get(key) for key in keys} for info in threadpool_info() if info.get("user_api") == "blas"]


def _rows(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    providers = [name.removesuffix("ExecutionProvider") for name in found["providers"]]
    yield "Providers", ", ".join(providers) or "none: onnxruntime is not installed, or cannot be loaded"
    yield "Libraries", ", ".join(name for name, problem in found["libraries"].items() if not problem)
    for name, problem in found["libraries"].items():
        if problem:
            yield "FAILS", f"{name}: {problem}"
    yield "CPU", ", ".join(found["cpu"]) or "unknown"
    if found["saturates_int8"] is not None:
        yield "8-bit sums", _SATURATE if found["saturates_int8"] else _EXACT
    quota = "" if found["cpu_quota"] is None else f", limited to {found['cpu_quota']:g} by the control group"
    yield "Cores", f"{found['cores']} of {found['machine_cores']}{quota}"
    for blas in found["blas"]:
        yield "BLAS", f"{blas['internal_api']} {blas['version']}, {blas['num_threads']} threads; commands use 1"
    yield "Memory", f"{_gib(found['memory'])} of {_gib(found['machine_memory'])}"
    if "server" in found:
        parts = ", ".join(f"{name} {_gib(size)}" for name, size in found["server"]["memory"].items())
        yield "Server", f"{found['server']['workers']} workers; memory for {parts}"
    for model in found.get("models", []):
        run = "" if model["run"] is None else f"(a run takes {_mib(model['run'])})"
        yield "Model", " ".join(filter(None, (model["name"], model["version"], model["state"], model["reason"], run)))
    if "left_for_runs" in found.get("server", {}):
        yield "Larger runs", f"{_mib(found['server']['left_for_runs'])} are left for them beside the models"


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"


_EXACT = "exact: the CPU's default kernels compute the standard's integers"
_SATURATE = "default kernels saturate; camgraph takes exact ones, unless told --fast-int8"
