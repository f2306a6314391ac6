"""Answers of two servers as fields, and which of them differ."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from differences import Difference

_NAMED = ("inputs", "outputs", "input", "output", "models", "model_stats")


def by_names(fields: dict[str, Any]) -> None:
    """Makes lists of named things mappings by these names."""
    for name in _NAMED:
        if name in fields:
            fields[name] = {entry["name"]: entry for entry in fields[name]}
    for name, entry in fields.get("model_stats", {}).items():  # its numbers depend on what was asked before
        fields["model_stats"][name] = {"version": entry["version"]}


def differing(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {name for name in one.keys() | other.keys() if not same(one.get(name), other.get(name))}


def unexplained(
    differences: Iterable[Difference], method: str, what: str, fields: Iterable[str], seen: set[tuple[str, str]]
) -> list[str]:
    """The fields that differ and that no row explains; rows that do are added to `seen`."""
    rows = [item for item in differences if item.method == method and item.only in what]
    explained = {field for item in rows for field in item.fields}
    seen |= {(method, field) for field in fields if field in explained}
    return [field for field in fields if field not in explained]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.shape == other.shape and bool(np.allclose(one, other, rtol=1e-5, atol=1e-5))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return math.isclose(one, other, abs_tol=1e-5) if isinstance(one, float) else bool(one == other)
