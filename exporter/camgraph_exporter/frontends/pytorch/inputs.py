"""The inputs that a module is run with: the image, and further ones that stay at the values of the example."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from camgraph_exporter.errors import ModuleError

_ADVICE = "The example input must be one image tensor such as torch.zeros(1, 3, 224, 224)"


@dataclass(frozen=True)
class Inputs:
    """An image [N, ...], and how to run a module on it.

    `prefix`: what stands before the names of the module's parts in the module that takes the image alone.
    """

    module: torch.nn.Module
    image: torch.Tensor
    prefix: str = ""
    note: str = ""


def inputs_of(module: torch.nn.Module, example: Any) -> Inputs:
    """Return a module that takes the image alone.

    Args:
        module: the module.
        example: the image; or several inputs, as a tuple, or as a dict from argument to tensor: the first tensor of
            three axes or more is the image, and the others are fixed at their values.

    Raises:
        ModuleError: the example is something else, or the module asks for more inputs.

    """
    given = _named(example)
    image = next((key for key, value in given.items() if isinstance(value, torch.Tensor) and value.ndim >= 3), None)
    if image is None:
        raise ModuleError(f"{_ADVICE}, or a tuple of inputs with one in it.")
    _check_all_given(module, given)
    if list(given) in ([0], [_first_argument(module)]):
        return Inputs(module, given[image])
    others = {key: value for key, value in given.items() if key != image}
    names = [_argument(module, key) for key in others]
    note = f"The module takes further inputs ({', '.join(names)}). The graph has the values of the example for them."
    bound = _Bound(module, image, others, batch=given[image].shape[0])
    return Inputs(bound.eval(), given[image], prefix="inner.", note=note)


class _Bound(torch.nn.Module):  # type: ignore[misc]  # the checks do not read PyTorch
    """A module of several inputs as one of the image alone."""

    def __init__(
        self, inner: torch.nn.Module, image: int | str, others: Mapping[int | str, Any], *, batch: int
    ) -> None:
        super().__init__()
        self.inner = inner
        self._image, self._others, self._batch = image, dict(others), batch

    def forward(self, image: torch.Tensor) -> Any:
        """Run the module on the image, with the other inputs as they were given."""
        given = {self._image: image} | {key: self._follow(value, image) for key, value in self._others.items()}
        positional = [given[key] for key in sorted(key for key in given if isinstance(key, int))]
        return self.inner(*positional, **{key: value for key, value in given.items() if isinstance(key, str)})

    def _follow(self, value: Any, image: torch.Tensor) -> Any:
        """Give an input that has one row for each image of the example as many rows as there are images."""
        if isinstance(value, torch.Tensor) and value.ndim and value.shape[0] == self._batch:
            return value[:1].expand(image.shape[0], *value.shape[1:])
        return value


def _named(example: Any) -> dict[int | str, Any]:
    if isinstance(example, Mapping):
        return dict(example)
    if isinstance(example, tuple | list):
        return dict(enumerate(example))
    return {0: example}


def _check_all_given(module: torch.nn.Module, given: Mapping[int | str, Any]) -> None:
    required = [
        (place, name)
        for place, (name, parameter) in enumerate(_arguments(module).items())
        if parameter.default is parameter.empty
    ]
    missing = [name for place, name in required if place not in given and name not in given]
    if missing:
        raise ModuleError(
            f"{type(module).__name__} also takes {', '.join(map(repr, missing))}. "
            "Give an example of every input, as a tuple in the order of the arguments; "
            "the first one of three axes or more is the image, and the others are fixed."
        )


def _arguments(module: torch.nn.Module) -> dict[str, inspect.Parameter]:
    """Return the arguments of the module's forward that can be given by place."""
    try:
        parameters = inspect.signature(module.forward).parameters
    except (TypeError, ValueError):  # written in C++
        return {}
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return {name: parameter for name, parameter in parameters.items() if parameter.kind in kinds}


def _argument(module: torch.nn.Module, key: int | str) -> str:
    names = list(_arguments(module))
    return names[key] if isinstance(key, int) and key < len(names) else str(key)


def _first_argument(module: torch.nn.Module) -> str | None:
    return next(iter(_arguments(module)), None)
