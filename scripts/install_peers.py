"""Installs the programs of others that tests talk to, each into an environment of its own (`make peers`).

    python scripts/install_peers.py [NAME ...]

Each file tests/peers/requirements/NAME.txt becomes .peers/NAME. What is there already and has not changed is kept.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "tests" / "peers" / "requirements"
PEERS = ROOT / ".peers"


def main(names: list[str]) -> int:
    """Installs the named peers, or all; the exit code is 1 if one could not be installed."""
    known = {file.stem: file for file in sorted(REQUIREMENTS.glob("*.txt"))}
    if unknown := [name for name in names if name not in known]:
        print(f"Unknown: {', '.join(unknown)}. There are: {', '.join(known)}.", file=sys.stderr)
        return 1
    failed = [name for name in names or known if not install(known[name], PEERS / name)]
    if failed:
        print(f"Not installed: {', '.join(failed)}.", file=sys.stderr)
    return 1 if failed else 0


def install(requirements: Path, folder: Path) -> bool:
    """Whether the environment in `folder` has what the file asks for, now or already."""
    folder.parent.mkdir(exist_ok=True)
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = folder / ".installed"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.is_file() and stamp.read_text() == digest:
            return True
        print(f"Installing {folder.name} ...", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if subprocess.run([*pip, "--requirement", str(requirements)], check=False).returncode:
            return False
        stamp.write_text(digest)
        return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
