"""Runs tests with the oldest versions that pyproject.toml allows, in an environment of their own (`make floors`).

Of each requirement of the base and of some extras exactly the lowest version is installed; what the tests themselves
need comes in any version. Arguments are those of pytest, by default the tests of the runtime.

    python scripts/floors.py tests/runtime
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ("cli", "cpu", "export", "client", "serve")
TOOLS = {"pytest", "pytest-asyncio", "pytest-timeout", "hypothesis", "trustme", "packaging"}
OWN = "camgraph"


def floors(requirements: Iterable[str]) -> list[str]:
    """Each requirement at its lowest version."""
    parsed = [Requirement(text) for text in requirements]
    return [f"{item.name}=={_lowest(item)}" for item in parsed if item.name != OWN]


def main() -> int:
    """Installs the floors into a fresh environment and runs the tests there; the exit code is pytest's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    pinned = floors([*project["dependencies"], *(text for extra in EXTRAS for text in optional[extra])])
    tools = _named(optional["test"], TOOLS)
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, *pinned, *tools], check=True)
        # OpenCV, with which the tests compare, asks for a newer NumPy than it needs.
        subprocess.run(
            [*install, "--no-deps", *_named(optional["test"], {"opencv-python-headless"}), str(ROOT)], check=True
        )
        print("\n".join(pinned), flush=True)
        command = [python, "-m", "pytest", *(sys.argv[1:] or ["tests/runtime"])]
        return subprocess.run(command, cwd=ROOT, check=False).returncode


def _named(requirements: Iterable[str], names: set[str]) -> list[str]:
    return [text for text in requirements if Requirement(text).name in names]


def _lowest(requirement: Requirement) -> str:
    [version] = [item.version for item in requirement.specifier if item.operator in {">=", "=="}]
    return version


if __name__ == "__main__":
    sys.exit(main())
