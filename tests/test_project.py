"""The repository itself: generated files are current, examples have their papers, nothing points to one machine."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
APACHE_2_SHA256 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("This is no git checkout, so there is no list of its files.")
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_stubs(proto: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "scripts/generate_stubs.py", "--check", "--proto", str(proto)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_committed_stubs_are_what_the_proto_files_give() -> None:
    outcome = check_stubs(ROOT / "proto")
    assert outcome.returncode == 0, outcome.stderr


@pytest.mark.parametrize("change", ["edited", "missing", "left over"])
def test_stale_stubs_are_noticed(tmp_path: Path, change: str) -> None:
    proto = tmp_path / "proto"
    shutil.copytree(ROOT / "proto", proto)
    stub = proto / "camgraph/v1/manifest_pb2.pyi"
    if change == "edited":
        stub.write_text(stub.read_text() + "\n")
    elif change == "missing":
        stub.unlink()
    else:
        stub = stub.with_name("gone_pb2.py")
        stub.write_text("")

    outcome = check_stubs(proto)

    assert outcome.returncode == 1
    assert stub.name in outcome.stderr
    assert outcome.stderr.count("make proto") == 1


def test_every_file_of_tests_has_a_name_of_its_own() -> None:
    """Else pytest collects the second of a name as the first, and ends the run."""
    counts = Counter(path.name for path in tracked_files() if path.name.startswith("test_") and path.suffix == ".py")
    assert counts
    assert not [name for name, count in counts.items() if count > 1]


def test_the_licence_is_the_unmodified_apache_text() -> None:
    assert sha256(ROOT / "LICENSE") == APACHE_2_SHA256


@pytest.mark.parametrize("folder", ["models", "photos"])
def test_every_example_file_has_a_source_a_licence_and_the_checksum_that_its_table_says(folder: str) -> None:
    directory = ROOT / "examples" / folder
    table = (directory / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([^`]+)` +\|.*`([0-9a-f]{64})`.*\|$", table, re.MULTILINE))
    files = {path.name: sha256(path) for path in directory.iterdir() if path.name != "README.md"}
    assert rows == files
    for name in files:
        row = next(line for line in table.splitlines() if line.startswith(f"| `{name}`"))
        assert re.search(r"Apache-2\.0|BSD-3-Clause|CC0 1\.0|public domain", row), row
