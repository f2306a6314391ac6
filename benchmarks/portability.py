"""Which runtime takes which form of an explainable graph? Each is tried and compared with onnxruntime.

    python benchmarks/portability.py --write docs/portability.md

Every model is exported at its last and at an early layer, in each form: flat, skippable (`--skippable`) and portable
(`--portable`). A runtime loads the file once and explains one image for one target, then two images for three targets
each, the skippable form with the gradients on and off. The figure is the largest relative L2 difference of `weights`
from those of onnxruntime on the CPU; all other outputs are compared too.

Every runtime gets an environment of its own below `--environments`, made on first use: pip and npm have to reach their
registries, and Node has to be there for onnxruntime-web.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import click
import numpy as np
from paired import EXAMPLE_MODEL, Layer, camgraph, environment, named_layers, random_image, ranks
from random_nets import write_random_nets
from runtimes.environments import RUNTIMES, Environment, Outcome, Runtime
from runtimes.exchange import Tensors, read_tensors, write_tensors

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import CamgraphError
from camgraph_runtime.manifest import manifest_from_metadata
from camgraph_runtime.run.engine import Engine
from camgraph_runtime.run.threads import available_cores

_FORMS = ("flat", "skippable", "portable")
_LOADS = ((1, 1), (2, 3))
# Beyond this an output is wrong rather than rounded; single ReLU gates that flip stay well below it.
_WRONG = 1e-2
# Characters of a refusal that are quoted.
_MESSAGE = 240
_BEGIN, _END = "<!-- begin: portability.py -->", "<!-- end: portability.py -->"


@dataclass(frozen=True)
class Case:
    """One exported graph, with the runs to make and what onnxruntime on the CPU computes for each."""

    model: str
    layer: Layer
    form: str
    graph: Path
    weights: str
    inputs: Sequence[Tensors]
    expected: Sequence[Tensors]


@dataclass(frozen=True)
class Result:
    """How one runtime did on one case: the difference of the weights, or why it refused, or which output is wrong."""

    difference: float
    refusal: str
    wrong: str


@click.command(help=__doc__.partition("\n")[0])
@click.option("--model", "models", multiple=True, type=click.Path(exists=True, path_type=Path), help="Trained model.")
@click.option("--random-nets/--no-random-nets", default=True, show_default=True, help="Also try small random networks.")
@click.option("--runtime", "keys", multiple=True, type=click.Choice([x.key for x in RUNTIMES]), help="Default: all.")
@click.option(
    "--environments", type=click.Path(path_type=Path), default=Path("build/runtimes"), show_default=True,
    help="Folder of the runtimes' environments.",
)  # fmt: skip  # a table, in rows of its own
@click.option("--write", "page", type=click.Path(exists=True, path_type=Path), help="Put the tables into this page.")
def main(
    models: tuple[Path, ...], random_nets: bool, keys: tuple[str, ...], environments: Path, page: Path | None
) -> None:
    """Prints the tables, or puts them between the markers of a page."""
    if page is not None:
        _parts(page)
    runtimes = [runtime for runtime in RUNTIMES if not keys or runtime.key in keys]
    places = [Environment(runtime, environments.resolve()) for runtime in runtimes]
    cases, outcomes = [], []
    with tempfile.TemporaryDirectory() as folder:
        nets = write_random_nets(Path(folder)) if random_nets else []
        tried = [*(models or (EXAMPLE_MODEL,)), *nets]
        for case in chain.from_iterable(_cases(model, Path(folder)) for model in tried):
            click.echo(f"{case.model}, {case.layer.name}, {case.form}", err=True)
            cases.append(case)
            outcomes.append([_try(place, case) for place in places])
    versions = [next((version for version, _ in row if version), "") for row in zip(*outcomes, strict=True)]
    results = [[result for _, result in row] for row in outcomes]
    tables = [_summary(runtimes, versions, cases, results), _details(runtimes, cases, results)]
    text = "\n\n".join([f"{environment(available_cores())}.", *tables])
    if page is None:
        click.echo(text)
    else:
        _put(page, text)


# --- cases -----------------------------------------------------------------------------------------------------------


def _cases(model: Path, folder: Path) -> Iterator[Case]:
    """Export a model at its last and an early layer, in every form."""
    last, _, early = named_layers(model, ())
    for layer in dict.fromkeys([last, early]):
        for form in _FORMS:
            graph = folder / f"{model.stem}.{layer.label}.{form}.onnx"
            options = [] if form == "flat" else [f"--{form}"]
            try:
                camgraph("export", str(model), "--output", str(graph), "--layer", layer.name, *options)
            except CamgraphError as error:
                raise click.ClickException(f"{model.name}, {layer.name}, {form}: {error}") from error
            yield _case(model.stem, layer, form, graph)


def _case(model: str, layer: Layer, form: str, graph: Path) -> Case:
    engine = Engine(graph)
    manifest = manifest_from_metadata(engine.metadata, graph.name)
    inputs = list(_inputs(engine, manifest))
    weights = manifest.layers[0].weights_tensor
    return Case(model, layer, form, graph, weights, inputs, [engine.run(feeds) for feeds in inputs])


def _inputs(engine: Engine, manifest: pb.Manifest) -> Iterator[Tensors]:
    classes = max(manifest.head.num_classes, 1)
    for batch, targets in _LOADS:
        feeds = {**random_image(engine, manifest.input, batch), **ranks(manifest, batch, min(targets, classes))}
        switch = manifest.explain_switch
        for explain in (True, False) if switch else (True,):
            yield {**feeds, switch: np.array(explain)} if switch else feeds


# --- trying ----------------------------------------------------------------------------------------------------------


def _try(place: Environment, case: Case) -> tuple[str, Result]:
    with tempfile.TemporaryDirectory() as folder:
        runs = [Path(folder) / str(i) for i in range(len(case.inputs))]
        for run, inputs in zip(runs, case.inputs, strict=True):
            write_tensors(run / "inputs", inputs)
        outcome = place.run(case.graph, runs)
        if outcome.refusal:
            return outcome.version, Result(np.inf, _reason(outcome), "")
        found = [read_tensors(run / "outputs") for run in runs]
    return outcome.version, _compare(case, found)


def _compare(case: Case, found: Sequence[Tensors]) -> Result:
    difference, wrong = 0.0, []
    for outputs, expected in zip(found, case.expected, strict=True):
        for name, array in expected.items():
            if name not in outputs and not array.size:
                continue
            off = _difference(outputs.get(name), array)
            if name == case.weights and array.size:
                difference = max(difference, off)
            if off > _WRONG and name not in wrong:
                wrong.append(name)
    return Result(difference, "", ", ".join(f"`{name}`" for name in wrong))


def _difference(found: np.ndarray | None, expected: np.ndarray) -> float:
    """Return |found - expected| / |expected|; infinite for a tensor that is missing, not finite or of another shape."""
    if found is None or found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    exact = expected.astype(np.float64)
    return float(np.linalg.norm(found - exact) / (np.linalg.norm(exact) or 1.0))


def _reason(outcome: Outcome) -> str:
    """Return a runtime's message as one line, without stack trace, node numbers and build paths; the end says most."""
    text = outcome.refusal.rpartition("refused: ")[2]
    text = re.split(r"Stack (?:back)?trace", text)[0]
    text = re.sub(r"#\d+", "#…", text)
    text = re.sub(r"(?:/[\w.@+-]+){3,}/", "", text)
    text = " ".join(text.split())
    return text if len(text) <= _MESSAGE else f"… {text[-_MESSAGE:]}"


# --- tables ----------------------------------------------------------------------------------------------------------


def _summary(
    runtimes: Sequence[Runtime], versions: Sequence[str], cases: Sequence[Case], results: Sequence[Sequence[Result]]
) -> str:
    """One line a runtime: how many graphs of each form it runs, and the largest difference among them."""
    lines = ["| runtime | version | flat | skippable | portable |", "|---|---|---|---|---|"]
    for i, (runtime, version) in enumerate(zip(runtimes, versions, strict=True)):
        cells = []
        for form in _FORMS:
            own = [row[i] for row, case in zip(results, cases, strict=True) if case.form == form]
            right = [result.difference for result in own if not result.refusal and not result.wrong]
            cells.append(f"{_count(len(right), len(own))}{f', {_figure(max(right))}' if right else ''}")
        lines.append(f"| {runtime.title} | {version} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _figure(difference: float) -> str:
    return f"{difference:.0e}" if difference else "0"


def _count(right: int, total: int) -> str:
    return f"all {total}" if right == total else f"{right} of {total}"


def _details(runtimes: Sequence[Runtime], cases: Sequence[Case], results: Sequence[Sequence[Result]]) -> str:
    """One line a graph, and the messages of the refusals below."""
    messages: dict[str, int] = {}
    lines = [f"| model | layer | form | {' | '.join(runtime.key for runtime in runtimes)} |"]
    lines.append(f"|---|---|---|{'---|' * len(runtimes)}")
    for case, row in zip(cases, results, strict=True):
        cells = [_cell(runtime, result, messages) for runtime, result in zip(runtimes, row, strict=True)]
        layer = f"{case.layer.label} `{case.layer.name}`"
        lines.append(f"| {case.model} | {layer} | {case.form} | {' | '.join(cells)} |")
    notes = [f"{number}. {message}" for message, number in messages.items()]
    return "\n".join([*lines, "", *notes]).strip()


def _cell(runtime: Runtime, result: Result, messages: dict[str, int]) -> str:
    if result.wrong:
        return f"**wrong**: {result.wrong}"
    if not result.refusal:
        return _figure(result.difference)
    message = f"{runtime.key}: `{result.refusal.replace('`', ' ')}`"
    return f"refused [{messages.setdefault(message, len(messages) + 1)}]"


def _put(page: Path, text: str) -> None:
    before, after = _parts(page)
    page.write_text(f"{before}{_BEGIN}\n\n{text}\n\n{_END}{after}", encoding="utf-8")


def _parts(page: Path) -> tuple[str, str]:
    """Return what stands before and after the tables."""
    before, found, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, closed, after = rest.partition(_END)
    if not found or not closed:
        raise click.ClickException(f"{page} lacks the markers {_BEGIN} and {_END}, between which the tables go.")
    return before, after


if __name__ == "__main__":
    main()
