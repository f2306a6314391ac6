"""Takes the wrappers off a module that change how it runs and not what it computes: compiled and parallel ones.

They wrap the whole module or parts of it. Exporters stumble over them, and they put a component of their own into the
names of the parts: `module.layer4` for `layer4`.
"""

from __future__ import annotations

import torch

# Class, by full name (the modules need not be imported), to the attribute that holds what is wrapped.
_WRAPPERS = {
    "torch._dynamo.eval_frame.OptimizedModule": "_orig_mod",
    "torch.nn.parallel.data_parallel.DataParallel": "module",
    "torch.nn.parallel.distributed.DistributedDataParallel": "module",
    "torch.distributed.fsdp.fully_sharded_data_parallel.FullyShardedDataParallel": "_fsdp_wrapped_module",
    "torch.optim.swa_utils.AveragedModel": "module",
    "lightning.fabric.wrappers._FabricModule": "_forward_module",
}


def core_name(module: torch.nn.Module, name: str) -> str:
    """Return the name that a part of `module` has once the wrappers are off: without their components."""
    kept, part = [], module
    for component in name.split("."):
        while (attribute := _attribute(part)) is not None:
            part = getattr(part, attribute)
            if component == attribute:
                break
        else:
            kept.append(component)
            part = getattr(part, component, part)
    return ".".join(kept)


def unwrap(module: torch.nn.Module) -> torch.nn.Module:
    """Return what is wrapped, with the wrappers of its parts taken off in place.

    The caller puts the parts back (`kept.left_as_it_was`).
    """
    core = _core(module)
    for part in list(core.modules()):
        part.__dict__.pop("_compiled_call_impl", None)
        for name, child in part._modules.items():
            if child is not None and _attribute(child) is not None:
                part._modules[name] = unwrap(child)
    return core


def _core(module: torch.nn.Module) -> torch.nn.Module:
    while (attribute := _attribute(module)) is not None:
        module = getattr(module, attribute)
    return module


def _attribute(module: object) -> str | None:
    """Return the attribute of a wrapper that holds what it wraps, or None for any other module."""
    for kind in type(module).__mro__:
        attribute = _WRAPPERS.get(f"{kind.__module__}.{kind.__qualname__}")
        if attribute is not None:
            return attribute
    return None
