"""What an installation gets: the content of the wheel, what each extra brings, the commands."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, distribution, entry_points
from pathlib import Path

import click
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SOURCES = {
    "camgraph": ROOT / "proto",
    "camgraph_cli": ROOT / "cli",
    "camgraph_client": ROOT / "client",
    "camgraph_core": ROOT / "core",
    "camgraph_exporter": ROOT / "exporter",
    "camgraph_runtime": ROOT / "runtime",
    "camgraph_load": ROOT / "load",
    "camgraph_server": ROOT / "server",
    "camgraph_triton": ROOT / "runtime",
    "camgraph_wire": ROOT / "wire",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Names of the files in the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path).namelist()


def test_the_wheel_has_every_module_stub_and_marker_and_nothing_else(wheel: list[str]) -> None:
    wanted = {
        str(path.relative_to(root))
        for package, root in SOURCES.items()
        for path in (root / package).rglob("*")
        if path.suffix in {".py", ".pyi", ".proto", ".binpb", ".png", ".css", ".js"} or path.name == "py.typed"
    }
    assert len(wanted) > 80
    assert {name for name in wheel if ".dist-info/" not in name} == wanted
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel)


@pytest.mark.parametrize("package", SOURCES)
def test_every_package_is_typed(wheel: list[str], package: str) -> None:
    assert any(re.fullmatch(rf"{package}/(?:v1/)?py\.typed", name) for name in wheel)


def brought_by(*extras: str) -> set[str]:
    """Names of all distributions that pip installs for `camgraph[extras]`, from the metadata of what is installed.

    The project's own requirements are read from pyproject.toml, so that a stale installation does not matter.
    """
    waiting = [Requirement(text) for text in _own_requirements(extras)]
    found: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        for extra in ("", *requirement.extras):
            key = (canonicalize_name(requirement.name), extra)
            if key not in found:
                found.add(key)
                waiting += _requirements(requirement.name, extra)
    return {name for name, _ in found}


def _own_requirements(extras: tuple[str, ...]) -> list[str]:
    optional = PROJECT["optional-dependencies"]
    return [*PROJECT["dependencies"], *(text for extra in extras for text in optional[extra])]


def _requirements(name: str, extra: str) -> list[Requirement]:
    try:
        listed = distribution(name).requires or []
    except PackageNotFoundError:
        pytest.fail(f"{name} is not installed, so what it brings is unknown; run `make test`.")
    parsed = [Requirement(text) for text in listed]
    return [item for item in parsed if item.marker is None or item.marker.evaluate({"extra": extra})]


@pytest.mark.parametrize(
    ("extras", "wanted", "unwanted"),
    [
        (
            "cpu",
            "onnxruntime numpy pillow simplejpeg",
            "click rich threadpoolctl opencv-python-headless torch onnx onnx-ir onnxscript grpcio",
        ),
        ("cpu serve", "onnxruntime grpcio grpcio-health-checking", "torch onnx onnx-ir onnxscript"),
        ("client", "grpcio", "click rich torch onnx onnx-ir onnxruntime"),
        ("cli cpu", "onnxruntime click rich threadpoolctl", "torch onnx onnx-ir grpcio"),
        ("load", "grpcio matplotlib click", "torch onnx onnx-ir onnxruntime"),
        ("cpu export", "onnx onnx-ir onnxruntime click", "torch grpcio"),
    ],
)
def test_an_installation_brings_what_it_needs_and_no_more(extras: str, wanted: str, unwanted: str) -> None:
    brought = brought_by(*extras.split())
    assert set(wanted.split()) <= brought
    assert not brought & set(unwanted.split())


def test_what_an_extra_brings_is_followed_to_the_end() -> None:
    assert {"onnx", "onnx-ir", "sympy"} <= brought_by("export")


def test_nothing_brings_onnxruntime_and_onnxruntime_gpu_together() -> None:
    optional = PROJECT["optional-dependencies"]
    with_gpu = [extra for extra, texts in optional.items() if any("onnxruntime-gpu" in text for text in texts)]
    assert with_gpu == ["gpu"]
    assert not any(Requirement(text).name == "onnxruntime" for text in optional["gpu"])


def test_every_command_is_installed_and_loads() -> None:
    commands = {entry.name: entry.load() for entry in entry_points(group="camgraph.commands")}
    assert set(commands) == set(PROJECT["entry-points"]["camgraph.commands"])
    assert {"inspect", "export", "verify", "explain", "serve", "models"} <= set(commands)
    assert all(isinstance(command, click.Command) for command in commands.values())


def test_the_console_script_says_its_version() -> None:
    command = [str(Path(sys.executable).parent / "camgraph"), "--version"]
    outcome = subprocess.run(command, capture_output=True, text=True, check=True)
    assert PROJECT["version"] in outcome.stdout


def test_the_console_script_says_what_it_lacks() -> None:
    code = "import sys; sys.modules['click'] = None; from camgraph_cli.start import main; main()"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert outcome.returncode == 1
    assert outcome.stderr == (
        "Error: The command line needs the package 'click': install it with pip install 'camgraph[cli]'.\n"
    )


def test_the_changelog_has_the_version() -> None:
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
