"""The runtimes that portability.py tries, each in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_NODE = "CAMGRAPH_NODE_MODULES"


@dataclass(frozen=True)
class Runtime:
    """A runtime, the program that runs a graph in it, and the packages that it needs; none means this environment's."""

    key: str
    title: str
    program: str
    packages: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_node(self) -> bool:
        """Tell whether the program runs under Node."""
        return self.program.endswith(".mjs")


@dataclass(frozen=True)
class Outcome:
    """What a program said: the runtime's version, and why it refused, empty if it did not."""

    version: str
    refusal: str


RUNTIMES = (
    Runtime("onnxruntime", "onnxruntime, CPU", "run_onnxruntime.py"),
    Runtime("onnxruntime-oldest", "onnxruntime, CPU", "run_onnxruntime.py", ("onnxruntime==1.23.*", "numpy")),
    Runtime("onnxruntime-web", "onnxruntime-web, WASM under Node", "run_web.mjs", ("onnxruntime-web",)),
    Runtime("openvino", "OpenVINO, CPU", "run_openvino.py", ("openvino", "numpy")),
    Runtime(
        "onnxruntime-openvino",
        "onnxruntime, OpenVINO provider",
        "run_onnxruntime.py",
        ("onnxruntime-openvino", "numpy"),
        {"CAMGRAPH_PROVIDER": "OpenVINOExecutionProvider"},
    ),
    Runtime("opencv", "OpenCV dnn, CPU", "run_opencv.py"),
    Runtime("tract", "tract, CPU", "run_tract.py", ("tract", "onnx", "numpy")),
    Runtime("reference", "ONNX reference evaluator", "run_reference.py"),
)


class Environment:
    """The environment of one runtime below a folder; it is made on first use and found again later."""

    def __init__(self, runtime: Runtime, folder: Path) -> None:
        self.runtime = runtime
        self.folder = folder / runtime.key
        if runtime.packages and not self.folder.exists():
            self._install()

    def run(self, graph: Path, folders: Sequence[Path], *, timeout: float = 900) -> Outcome:
        """Run a graph on the inputs in `folders`, beside which the outputs are written."""
        command = [*self._interpreter(), str(_HERE / self.runtime.program), str(graph), *map(str, folders)]
        own = {"PYTHONPATH": str(_HERE.parent), _NODE: str(self.folder)}
        variables = {"ORT_DISABLE_TELEMETRY": "1", **os.environ, **self.runtime.variables, **own}
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=timeout)
        version = done.stdout.strip().partition("\n")[0]
        if done.returncode == 0:
            return Outcome(version, "")
        return Outcome(version, done.stderr.strip() or f"The process ended with status {done.returncode}.")

    def _interpreter(self) -> list[str]:
        if self.runtime.is_node:
            return ["node"]
        return [str(self.folder / "bin" / "python") if self.runtime.packages else sys.executable]

    def _install(self) -> None:
        print(f"Installing {', '.join(self.runtime.packages)} into {self.folder}", file=sys.stderr)
        if self.runtime.is_node:
            self.folder.mkdir(parents=True)
            command = ["npm", "install", "--prefix", str(self.folder), "--no-audit", "--no-fund"]
        else:
            venv.create(self.folder, with_pip=True)
            command = [*self._interpreter(), "-m", "pip", "install", "--quiet"]
        subprocess.run([*command, *self.runtime.packages], check=True, stdout=sys.stderr)
