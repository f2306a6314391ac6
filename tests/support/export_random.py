"""Exports random and broken graphs, one after the other: `python -m support.export_random FOLDER KIND FIRST COUNT`.

A process of its own, as a file may end onnxruntime's. For each case there are two lines of JSON on stdout, one before
it starts and one with what came of it.
"""

from __future__ import annotations

import json
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from camgraph_core.errors import CamgraphError
from camgraph_exporter import export
from support import detectors, nets, tasks
from support.broken_graphs import mutated
from support.random_graphs import random_model

_SOUND: tuple[Callable[[], onnx.ModelProto], ...] = (
    nets.classifier,
    lambda: nets.classifier(softmax=True, opset=12),
    nets.deep_classifier,
    tasks.segmenter,
    lambda: tasks.detector(joined=True),
    tasks.embedder,
    detectors.topk_of_flat,
    detectors.suppressed,
    detectors.two_way,
)


def case(kind: str, seed: int) -> bytes:
    """The file of a case: a random graph, or a sound one that was broken."""
    rng = np.random.default_rng(seed)
    if kind == "random":
        return random_model(rng).SerializeToString()
    sound = _SOUND[int(rng.integers(len(_SOUND)))]() if rng.random() < 0.6 else random_model(rng)
    return mutated(rng, sound)


def outcome(data: bytes, folder: Path) -> dict[str, str]:
    """What an export of these bytes says."""
    (folder / "source.onnx").write_bytes(data)
    try:
        with warnings.catch_warnings():
            # Warnings of libraries about what is odd in the file are theirs to give.
            warnings.simplefilter("ignore")
            made = export(folder / "source.onnx", folder / "cam.onnx")
    except CamgraphError as error:
        return {"refused": str(error)}
    except Exception:  # which is what the test looks for
        return {"fault": traceback.format_exc()}
    return {"exported": str(made.manifest.certificate.passed)}


def main(folder: str, kind: str, first: str, count: str) -> None:
    onnxruntime.set_default_logger_severity(4)
    for seed in range(int(first), int(first) + int(count)):
        print(json.dumps({"seed": seed}), flush=True)
        print(json.dumps({"seed": seed, **outcome(case(kind, seed), Path(folder))}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
