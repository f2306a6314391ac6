"""How portability.py and the programs that run a graph exchange tensors: a folder with `tensors.json` and raw files.

`tensors.json` lists name, NumPy element type and shape of each tensor; the elements of the i-th lie in `i.bin`,
little-endian and row-major. Any language reads that without a library; here only NumPy is needed.

Every program takes `GRAPH RUN...`. Each RUN is a folder with the folder `inputs`, beside which it writes `outputs`.
It prints the runtime's version; if the runtime refuses, it ends with exit code 1, and with "refused: " and the
runtime's own message on stderr, after whatever the runtime logs there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

Tensors = Mapping[str, np.ndarray]
Run = Callable[[Tensors], Tensors]


def write_tensors(folder: Path, tensors: Tensors) -> None:
    """Write tensors into a new folder."""
    folder.mkdir(parents=True)
    entries = []
    for i, (name, tensor) in enumerate(tensors.items()):
        array = np.asarray(tensor)
        entries.append({"name": name, "dtype": array.dtype.name, "shape": list(array.shape)})
        (folder / f"{i}.bin").write_bytes(array.astype(array.dtype.newbyteorder("<")).tobytes())
    (folder / "tensors.json").write_text(json.dumps(entries), encoding="utf-8")


def read_tensors(folder: Path) -> dict[str, np.ndarray]:
    """Read the tensors of a folder."""
    entries = json.loads((folder / "tensors.json").read_text(encoding="utf-8"))
    return {
        entry["name"]: np.fromfile(folder / f"{i}.bin", np.dtype(entry["dtype"]).newbyteorder("<")).reshape(
            entry["shape"]
        )
        for i, entry in enumerate(entries)
    }


def serve(version: str, load: Callable[[str], Run]) -> None:
    """Run the graph that the command line names on every folder that it names."""
    print(version)
    graph, *folders = sys.argv[1:]
    try:
        run = load(graph)
        for folder in map(Path, folders):
            write_tensors(folder / "outputs", run(read_tensors(folder / "inputs")))
    # Whatever a runtime raises is its way to refuse; its message is the result.
    except Exception as error:
        sys.exit(f"refused: {error}")
