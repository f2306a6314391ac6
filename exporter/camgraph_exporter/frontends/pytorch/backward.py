"""Finds where a module's own backward differs from the derivative of what it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

# They give the exact derivative, only later.
_EXACT = {"CheckpointFunction", "_NoopSaveInputs"}
_NO_GRAD = "torch.no_grad()"
_CUTS: dict[Any, str] = {
    torch.Tensor.detach: "detach()",
    torch.Tensor.detach_: "detach_()",
    torch.Tensor.data.__get__: ".data",
}


def backward_notes(module: torch.nn.Module, x: torch.Tensor) -> list[str]:
    """Return what a user should know who compares with PyTorch's gradients; nothing for most modules.

    The module is run once with gradients. Parameters ask for none, so what asks for them depends on the image.
    """
    if not x.dtype.is_floating_point:
        return []
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    watch = _Watch()
    with torch.enable_grad(), watch:
        result = module(x.clone().requires_grad_())
    functions = sorted(set(_own_functions(result)))
    if functions:
        # The forward of such a function runs without gradients, which says nothing.
        watch.cuts.pop(_NO_GRAD, None)
    notes = []
    if watch.cuts:
        notes.append(
            f"The module keeps gradients from passing in some places ({', '.join(watch.cuts)}). "
            "The graph has the derivative of what the module computes, so its weights can differ from PyTorch's."
        )
    if functions:
        notes.append(
            f"The module brings a backward of its own ({', '.join(functions)}). "
            "The graph has the derivative of what the forward computes instead, so its weights can differ from "
            "PyTorch's."
        )
    return notes


class _Watch(TorchFunctionMode):  # type: ignore[misc]  # the checks do not read PyTorch
    """Notes where a floating-point tensor that depends on the image is cut off from it."""

    def __init__(self) -> None:
        super().__init__()
        self.cuts: dict[str, None] = {}

    def __torch_function__(self, func: Callable[..., Any], _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = any(leaf.requires_grad for leaf in _tensors((args, kwargs)))
        result = func(*args, **(kwargs or {}))
        if before and func in _CUTS:
            self.cuts[_CUTS[func]] = None
        elif before and not torch.is_grad_enabled() and any(leaf.is_floating_point() for leaf in _tensors(result)):
            self.cuts[_NO_GRAD] = None
        return result


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    return (leaf for leaf in torch.utils._pytree.tree_leaves(values) if isinstance(leaf, torch.Tensor))


def _own_functions(result: Any) -> Iterator[str]:
    """Yield the names of the `torch.autograd.Function`s that a result was computed by."""
    stack = [leaf.grad_fn for leaf in _tensors(result) if leaf.grad_fn is not None]
    seen = set(stack)
    while stack:
        node = stack.pop()
        name = type(node).__name__.removesuffix("Backward")
        if isinstance(node, torch.autograd.function.BackwardCFunction) and name not in _EXACT:
            yield name
        following = [after for after, _ in node.next_functions if after is not None and after not in seen]
        seen.update(following)
        stack += following
