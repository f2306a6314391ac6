"""Generates the Python stubs of proto/, or with --check says whether the committed ones are current.

The version of grpcio-tools is pinned in pyproject.toml: it stands in the generated files, and it decides the
oldest versions of protobuf and grpcio that they run on.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]  # it ships no types

_REPOSITORY = Path(__file__).resolve().parent.parent
_STUBS = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py")
_DESCRIPTORS = _REPOSITORY / "wire" / "camgraph_wire" / "open_inference"  # of others: no stubs, as they need a pool
_SERVICE = re.compile(r"^service ", re.MULTILINE)


def main() -> int:
    """Runs the command; returns 0 if the stubs are current in the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a stub is stale")
    parser.add_argument("--proto", type=Path, default=_REPOSITORY / "proto", help="root of the .proto files")
    options = parser.parse_args()
    wanted, found = generate(options.proto), read_stubs(options.proto)
    for path in _DESCRIPTORS.glob("*.proto"):
        binary = path.with_suffix(".binpb")
        wanted[binary] = _descriptors(path)
        found |= {binary: binary.read_bytes()} if binary.exists() else {}
    stale = sorted(path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path))
    if options.check:
        return _report(stale)
    for path in stale:
        _put(options.proto / path, wanted.get(path))
    return 0


def generate(root: Path) -> dict[Path, bytes]:
    """Content of every stub that belongs to the .proto files below `root`, by path relative to it."""
    sources = sorted(root.rglob("*.proto"))
    services = [path for path in sources if _SERVICE.search(path.read_text(encoding="utf-8"))]
    with tempfile.TemporaryDirectory() as folder:
        _protoc(root, sources, f"--python_out={folder}", f"--pyi_out={folder}")
        _protoc(root, services, f"--grpc_python_out={folder}")
        return read_stubs(Path(folder))


def read_stubs(root: Path) -> dict[Path, bytes]:
    """Content of every stub below `root`, by path relative to it."""
    paths = [path for pattern in _STUBS for path in root.rglob(pattern)]
    return {path.relative_to(root): path.read_bytes() for path in paths}


def _descriptors(source: Path) -> bytes:
    """The descriptor set of a .proto file, as protoc writes it."""
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "descriptors"
        _protoc(source.parent, [source], f"--descriptor_set_out={binary}")
        return binary.read_bytes()


def _protoc(root: Path, sources: list[Path], *options: str) -> None:
    well_known = resources.files("grpc_tools") / "_proto"
    arguments = ["protoc", f"-I{root}", f"-I{well_known}", *options, *map(str, sources)]
    if sources and protoc.main(arguments) != 0:
        raise SystemExit("protoc failed; its message stands above.")


def _put(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink()
        print(f"removed {path}")
    else:
        path.write_bytes(content)
        print(f"wrote {path}")


def _report(stale: list[Path]) -> int:
    for path in stale:
        print(f"{path} is not what its .proto file gives. Run `make proto`.", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
