"""Files of PyTorch on the command line: those that hold a network are exported, the others say what they hold."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed (extra `torch`).")
pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra `torch`), so PyTorch cannot export.")

import torch
from click.testing import CliRunner

from camgraph_cli.main import cli
from camgraph_exporter import export, verify
from camgraph_exporter.errors import ModelFileError, ModuleError
from exporter import torch_wild as wild

# PyTorch 2.13 warns that TorchScript will go, which users of it know.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

_IMAGE = torch.zeros(2, 3, 16, 16)
_BATCH = {0: torch.export.Dim("batch", min=1)}


def _program(path: Path) -> None:
    program = torch.export.export(wild.Net().eval(), (_IMAGE,), dynamic_shapes=(_BATCH,))
    torch.export.save(program, path)


def _script(path: Path) -> None:
    torch.jit.save(torch.jit.script(wild.Net().eval()), str(path))


@pytest.mark.parametrize(("name", "write"), [("net.pt2", _program), ("net.pt", _script), ("net.torchscript", _script)])
def test_a_file_with_a_network_is_exported(name: str, write: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path / name)
    arguments = [str(tmp_path / name), "-o", str(tmp_path / "out.onnx"), "--input-size", "16x16", "--preset", "raw"]
    ended = CliRunner().invoke(cli, ["export", *arguments])
    assert ended.exit_code == 0, ended.stderr
    assert "5 classes" in ended.stdout
    inspected = CliRunner().invoke(cli, ["inspect", str(tmp_path / name), "--input-size", "16x16"])
    assert inspected.exit_code == 0, inspected.stderr
    with pytest.raises(ModelFileError, match=r"not an ONNX model\. Export it with camgraph export\."):
        verify(tmp_path / name)


def _lightning(path: Path) -> None:
    torch.save({"epoch": 1, "global_step": 7, "state_dict": wild.Net().state_dict()}, path)


def _old(path: Path) -> None:
    torch.save(wild.Net().state_dict(), path, _use_new_zipfile_serialization=False)


HELD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "state dict": ("net.pth", lambda path: torch.save(wild.Net().state_dict(), path), "a state dict: weights, but not"),
    "old state dict": ("net.pth", _old, "a state dict: weights, but not"),
    "checkpoint": (
        "net.pt",
        lambda path: torch.save({"epoch": 3, "model": wild.Net().state_dict(), "optimizer": {}}, path),
        "a checkpoint: weights under 'model'",
    ),
    "Lightning's checkpoint": ("net.ckpt", _lightning, "a checkpoint: weights under 'state_dict'"),
    "a pickled module": (
        "net.pt",
        lambda path: torch.save(wild.Net(), path),
        r"pickled objects \(exporter.torch_wild.Net, .*loading them would run code from the file",
    ),
    "safetensors": ("net.safetensors", lambda path: path.write_bytes(b"\x08" + bytes(7) + b"{}"), "holds weights, but"),
    "garbage": ("net.pt", lambda path: path.write_bytes(b"garbage"), "is not a file that PyTorch writes"),
    "an empty file": ("net.pt", lambda path: path.write_bytes(b""), "is not a file that PyTorch writes"),
}


@pytest.mark.parametrize("case", HELD)
def test_a_file_without_a_network_says_what_it_holds(case: str, tmp_path: Path) -> None:
    name, write, message = HELD[case]
    path = tmp_path / name
    write(path)
    with pytest.raises(ModuleError, match=message):
        export(path, tmp_path / "out.onnx")
    with pytest.raises(ModelFileError, match=message):
        verify(path)
    ended = CliRunner().invoke(cli, ["export", str(path), "-o", str(tmp_path / "out.onnx")])
    assert ended.exit_code == 1
    assert len(ended.stderr.strip().splitlines()) == 1


def test_a_pickle_is_described_without_running_it(tmp_path: Path) -> None:
    """The pickle would make a file if it were loaded."""
    made = tmp_path / "made"
    pickled = b"cos\nsystem\n(S'touch " + str(made).encode() + b"'\ntR."
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr("net/data.pkl", pickled)
    with pytest.raises(ModuleError, match=r"pickled objects \(os.system\)"):
        export(tmp_path / "net.pt", tmp_path / "out.onnx")
    assert not made.exists()


def test_a_damaged_program_is_one_sentence(tmp_path: Path) -> None:
    _program(tmp_path / "net.pt2")
    with zipfile.ZipFile(tmp_path / "net.pt2") as archive, zipfile.ZipFile(tmp_path / "cut.pt2", "w") as cut:
        for name in archive.namelist()[:-1]:
            cut.writestr(name, archive.read(name)[:20] if "models" in name else archive.read(name))
    with pytest.raises(ModuleError, match="cannot be read by PyTorch"):
        export(tmp_path / "cut.pt2", tmp_path / "out.onnx")
