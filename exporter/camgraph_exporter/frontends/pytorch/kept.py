"""Leaves a module as it was, whatever happens to it in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch


@contextmanager
def left_as_it_was(module: torch.nn.Module) -> Iterator[None]:
    """Put back each part's mode, attributes, parts, hooks, buffers and requests for gradients, also after an error.

    Tracing leaves stand-ins for tensors in modules that remember what they computed, and a forward pass may change
    running statistics.
    """
    states = [_State.of(part) for part in module.modules()]
    wanted = {parameter: parameter.requires_grad for parameter in module.parameters()}
    try:
        yield
    finally:
        for state in states:
            state.restore()
        for parameter, wants in wanted.items():
            if parameter.requires_grad != wants:
                parameter.requires_grad_(wants)


@dataclass(frozen=True)
class _State:
    """One part: its attributes, with copies of the dicts among them, and copies of its buffers."""

    part: torch.nn.Module
    training: bool | None
    attributes: dict[str, Any]
    buffers: dict[str, tuple[torch.Tensor, torch.Tensor]]

    @classmethod
    def of(cls, part: torch.nn.Module) -> _State:
        attributes = {name: _copied(value) for name, value in vars(part).items()}
        buffers = {name: (value, value.detach().clone()) for name, value in _own_buffers(part).items()}
        return cls(part, getattr(part, "training", None), attributes, buffers)

    def restore(self) -> None:
        for buffer, content in self.buffers.values():
            if not torch.equal(buffer, content):
                with torch.no_grad():
                    buffer.copy_(content)
        if isinstance(self.part, torch.jit.ScriptModule):
            # Its attributes live in C++, and it has no others.
            if self.training is not None and self.part.training != self.training:
                self.part.train(self.training)
            return
        now = vars(self.part)
        for name in [name for name in now if name not in self.attributes]:
            del now[name]
        for name, value in self.attributes.items():
            if isinstance(value, dict) and isinstance(now.get(name), dict):
                # The same dict as before: others may hold it.
                now[name].clear()
                now[name].update(value)
            else:
                now[name] = value


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, dict) else value


def _own_buffers(part: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value for name, value in part.named_buffers(recurse=False) if not value.is_meta}
