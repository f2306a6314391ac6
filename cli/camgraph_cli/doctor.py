"""The command `camgraph doctor`."""

from __future__ import annotations

import dataclasses
import json

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Say what this machine gives to camgraph: execution providers, exact 8-bit sums, cores and memory."""
    from camgraph_runtime.run.machine import look_at_machine  # noqa: PLC0415 - the root command starts without onnxruntime

    machine = look_at_machine()
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(machine)))
        return
    click.echo(f"Providers    {', '.join(name.removesuffix('ExecutionProvider') for name in machine.providers)}")
    click.echo(f"8-bit sums   {_SATURATE if machine.saturates_int8 else _EXACT}")
    click.echo(f"Cores        {machine.cores}")
    click.echo(f"Memory       {machine.memory / 2**30:.1f} GiB")


_EXACT = "exact: the CPU's default kernels compute the standard's integers"
_SATURATE = "default kernels saturate; camgraph takes exact ones, unless told --fast-int8"
