"""Run by the Python of the peer `kserve`: holds resources of a cluster to the classes of KServe's SDK.

    python kserve_resources.py FILE...

Prints a line for each thing that does not fit; these classes are made from the schemas of KServe's and Kubernetes'
resources.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kserve.models
import kubernetes.client.models
import yaml

_PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float)}
_HELD_BY = re.compile(r"(?:list\[|dict\(str, )(\w+)[\])]")


def problems(value: Any, kind: str, where: str) -> Iterator[str]:
    """What does not fit in a value of that type of the SDK."""
    if kind in _PLAIN:
        if not isinstance(value, _PLAIN[kind]) or (kind == "int" and isinstance(value, bool)):
            yield f"{where} is {value!r}, not {kind}"
        return
    inner = _HELD_BY.fullmatch(kind)
    if inner is not None:
        wanted = list if kind.startswith("list") else dict
        if not isinstance(value, wanted):
            yield f"{where} is {value!r}, not {kind}"
            return
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, entry in entries:
            yield from problems(entry, inner[1], f"{where}.{key}")
        return
    found = getattr(kserve.models, kind, None) or getattr(kubernetes.client.models, kind, None)
    if found is not None:
        yield from _in_class(value, found, where)


def _in_class(value: Any, kind: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where} is {value!r}, not {kind.__name__}"
        return
    attributes = {key: attribute for attribute, key in kind.attribute_map.items()}
    for key, entry in value.items():
        if key in attributes:
            yield from problems(entry, kind.openapi_types[attributes[key]], f"{where}.{key}")
        else:
            yield f"{where} has no field {key}"
    try:
        kind(**{attributes[key]: entry for key, entry in value.items() if key in attributes})
    except ValueError as error:  # a field that must be there is not
        yield f"{where}: {' '.join(str(error).split())}"


def main(paths: list[str]) -> None:
    """Prints what does not fit in these files."""
    for path in paths:
        for resource in yaml.safe_load_all(Path(path).read_text(encoding="utf-8")):
            version = resource["apiVersion"].rpartition("/")[2].capitalize()
            name = f"{version}{resource['kind']}"
            kind = getattr(kserve.models, name, None) or getattr(kubernetes.client.models, name, None)
            if kind is None:
                print(f"{path}: there is no {resource['apiVersion']} {resource['kind']}")
                continue
            for problem in _in_class(resource, kind, resource["kind"]):
                print(f"{path}: {problem}")


if __name__ == "__main__":
    main(sys.argv[1:])
