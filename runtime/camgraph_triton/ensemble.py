"""The ensemble of a graph: Triton takes an image through its steps, and schedules each of them by itself.

Triton asks a step for all outputs that the ensemble maps, whatever its caller wants, and leaves out a step of whose
outputs none is wanted. So each picture has a step of its own: it is drawn where it is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable

from camgraph_triton.config_text import config_of, text_of, triton_tensors, use_photo_model
from camgraph_triton.names import DRAW, ENSEMBLE, OF_GRAPH, PREPARE, TO_GRAPH
from camgraph_triton.options import TritonOptions
from camgraph_triton.signature import Signature
from camgraph_wire.open_inference.explanation_outputs import OF_SOME, OUTPUTS
from camgraph_wire.open_inference.explanations import INPUTS
from camgraph_wire.open_inference.models import TENSORS, Description, Tensors

_NEWEST = -1
_OPTIONAL = INPUTS.keys() - {"image"}
_OF_ALL: Tensors = {name: tensor for name, tensor in OUTPUTS.items() if name not in OF_SOME}
_PICTURES = [name for name in _OF_ALL if name.endswith(("-png", "-jpeg"))]
_DRAWN = [[name for name in _OF_ALL if name not in _PICTURES], *([name] for name in _PICTURES)]
"""The outputs of each of the last steps."""


def ensemble_configs(name: str, signature: Signature, options: TritonOptions) -> dict[str, str]:
    """The configurations of the ensemble and of the models of its steps, by the models' names.

    Args:
        name: Name of the graph.
        signature: What it takes and gives.
        options: How Triton is to serve it.
    """
    feeds, given = triton_tensors(signature.inputs), triton_tensors(signature.outputs)
    named = {OF_GRAPH + output: tensor for output, tensor in given.items()}
    return {
        name + PREPARE: _of_step(name + PREPARE, INPUTS, feeds, options),
        name + DRAW: _of_step(name + DRAW, {**INPUTS, **named}, _OF_ALL, options),
        name + ENSEMBLE: _of_ensemble(name, feeds, given),
    }


def _of_step(name: str, inputs: Tensors, outputs: Tensors, options: TritonOptions) -> str:
    config = config_of(Description(name, "", "", inputs, outputs, _OPTIONAL))
    use_photo_model(config, options)
    return text_of(config)


def _of_ensemble(name: str, feeds: Iterable[str], given: Iterable[str]) -> str:
    config = config_of(Description(name + ENSEMBLE, "", "ensemble", INPUTS, _OF_ALL, _OPTIONAL))
    config.backend = ""
    photo = {key: key for key in INPUTS}
    to_graph, of_graph = ({key: begin + key for key in keys} for begin, keys in ((TO_GRAPH, feeds), (OF_GRAPH, given)))
    steps = config.ensemble_scheduling.step
    steps.add(model_name=name + PREPARE, model_version=_NEWEST, input_map=photo, output_map=to_graph)
    steps.add(model_name=name + TENSORS, model_version=_NEWEST, input_map=to_graph, output_map=of_graph)
    taken = photo | {key: key for key in of_graph.values()}
    for drawn in _DRAWN:
        outputs = {key: key for key in drawn}
        steps.add(model_name=name + DRAW, model_version=_NEWEST, input_map=taken, output_map=outputs)
    return text_of(config)
