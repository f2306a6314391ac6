"""Runs a module, and its exported model beside it: both must do the same, for one image and for several."""

from __future__ import annotations

from typing import Any

import torch

from camgraph_core.errors import CamgraphError
from camgraph_exporter.errors import ModuleError
from camgraph_exporter.frontends.pytorch.exporters import TorchExport
from camgraph_exporter.frontends.pytorch.inputs import Inputs
from camgraph_exporter.frontends.pytorch.kinds import quantised_part
from camgraph_exporter.graph.measures import relative_l2
from camgraph_exporter.running.engine import engine_with_outputs

_OUTPUT_TOLERANCE = 1e-3
_ADVICE = {
    torch.float64: "onnxruntime lacks operators in float64. Give module.float().",
    torch.bfloat16: "onnxruntime has no operators in bfloat16. Give module.float().",
}


class DisagreementError(ModuleError):
    """The exported model does not compute what the module does."""


def random_like(example: torch.Tensor, *, batch: int) -> torch.Tensor:
    """Return a batch of normally distributed images of the example's size, element type and device."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((batch, *example.shape[1:]), generator=generator)
    return x.to(dtype=example.dtype, device=example.device)


def check_runs(core: torch.nn.Module, inputs: Inputs) -> None:
    """Run the module twice on the same images.

    Raises:
        ModuleError: it fails, returns no tensor, or returns something else the second time.

    """
    name, example = type(core).__name__, inputs.image
    images = random_like(example, batch=example.shape[0])
    try:
        first, second = tensors_of(inputs.module(images)), tensors_of(inputs.module(images))
    except Exception as error:  # the code of a user
        raise ModuleError(
            f"{name} does not run on an input of shape {list(example.shape)}: {cause(error)}. "
            "Give an example input that fits."
        ) from error
    if not first:
        raise ModuleError(f"{name} returns no tensor. Wrap it in a module that returns the scores.")
    if not all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(first, second, strict=True)):
        raise ModuleError(
            f"{name} gives different results for the same image, in evaluation mode too. "
            "Turn off what is random in it, such as a dropout that is always on, or what it changes as it runs."
        )


def check_agrees(inputs: Inputs, exported: TorchExport) -> None:
    """Run batches through the exported model, and their images one by one through the module.

    Raises:
        DisagreementError: the results differ.
        ModuleError: the exported model does not run.

    """
    engine = engine_with_outputs(exported.model, [])
    image = str(exported.model.graph.inputs[0].name)
    for batch in (exported.batch,) if exported.batch else (1, 3):
        x = random_like(inputs.image, batch=batch)
        try:
            found = list(engine.run({image: x.cpu().numpy()}).values())
        except CamgraphError as error:
            raise ModuleError(f"the exported model does not run with a batch of {batch} ({error})") from error
        whole = [x] if exported.batch else [x[i : i + 1] for i in range(batch)]
        singles = [tensors_of(inputs.module(part)) for part in whole]
        for array, *leaves in zip(found, *singles, strict=True):
            if relative_l2(array, torch.cat(leaves).cpu().numpy()) > _OUTPUT_TOLERANCE:
                raise DisagreementError(
                    f"the exported model's outputs differ from the module's with a batch of {batch}"
                )


def refusal(core: torch.nn.Module, inputs: Inputs, problems: list[Exception]) -> ModuleError:
    """Return the error that says why no exporter gave a model that agrees with the module."""
    name = type(core).__name__
    quantised = quantised_part(core)
    if quantised:
        return ModuleError(
            f"{name} was quantised in PyTorch ({quantised}), and PyTorch cannot write that as ONNX. "
            "Export the module as it was before, or quantise its .onnx file and give that."
        )
    advice = _ADVICE.get(inputs.image.dtype)
    if advice:
        return ModuleError(f"{name} computes in {str(inputs.image.dtype).removeprefix('torch.')}, and {advice}")
    texts = [_text(problem) for problem in problems]
    if any("data-dependent" in text for text in texts):
        return ModuleError(
            f"What {name} does depends on the values in the image (an `if` on a tensor, or an index computed from it), "
            "and one graph cannot follow that. Write it without the branch, for example with torch.where."
        )
    reasons = "; ".join(dict.fromkeys(texts))
    found = f"PyTorch could not export {name} to ONNX: {reasons}."
    if any(isinstance(problem, DisagreementError) for problem in problems):
        return ModuleError(f"{found} Find the part that does not export and rewrite it.")
    return ModuleError(f"{found} Export it to an .onnx file in another way and give that file.")


def cause(error: BaseException) -> str:
    """Return one line that says why: the innermost error's first line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".")[:300] if lines else type(error).__name__


def tensors_of(result: Any) -> list[torch.Tensor]:
    """Return the tensors among what a module returned, in order; None, numbers and texts are not outputs of a graph."""
    return [leaf for leaf in torch.utils._pytree.tree_leaves(result) if isinstance(leaf, torch.Tensor)]


def _text(problem: Exception) -> str:
    return str(problem) if isinstance(problem, ModuleError) else f"{type(problem).__name__}: {cause(problem)}"
