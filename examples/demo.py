"""The whole way in a minute: export a trained model, serve it, explain two photos over gRPC.

Every step is a `camgraph` command that you can type yourself; each is printed before it runs. `make demo`
runs this file. The pictures, the explainable graph and the server's log land in `demo-output/`.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = Path("demo-output")
MODEL = "efficientnet_lite0"
SOURCE = f"examples/models/{MODEL}.onnx"
CONFIG = f"examples/{MODEL}.toml"
GRAPH = OUTPUT / "models" / f"{MODEL}.onnx"
PHOTOS = ("examples/photos/chelsea.png", "examples/photos/coffee.png")
READY = "listening on "
STOP_SECONDS = 40


def main() -> None:
    """Runs the demo."""
    (ROOT / GRAPH).parent.mkdir(parents=True, exist_ok=True)
    heading("1. Export: the trained model becomes an explainable graph and proves itself")
    run("export", SOURCE, "--output", str(GRAPH), "--config", CONFIG)
    heading("2. Serve it over gRPC")
    with server() as address:
        heading("3. Explain the two best classes of each photo through the server")
        choice = ("--server", address, "--model", MODEL, "--top-k", "2")
        run("explain", *PHOTOS, *choice, "--output", str(OUTPUT))
    heading("Done. Look at")
    for photo in PHOTOS:
        print(f"  {ROOT / OUTPUT / Path(photo).stem}.panel.png")


def run(*arguments: str) -> None:
    """Runs one camgraph command; ends the demo with its exit code if it fails."""
    show(arguments)
    outcome = subprocess.run([command(), *arguments], cwd=ROOT, check=False)
    if outcome.returncode != 0:
        sys.exit(outcome.returncode)


@contextmanager
def server() -> Iterator[str]:
    """A server on a free port of this machine for as long as the context lasts; gives its address."""
    arguments = ("serve", "--model-repository", str(GRAPH.parent), "--listen", "127.0.0.1:0")
    show(arguments)
    log = ROOT / OUTPUT / "server.log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [command(), *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True
        )
    try:
        yield address_of(process, log)
    finally:
        stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """Asks the server to stop, and insists if it does not."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    print(f"The server (pid {process.pid}) stopped with exit code {process.returncode}.")


def address_of(process: subprocess.Popen[str], log: Path) -> str:
    """Waits for the line by which the server says that it is ready, and where."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line.startswith(READY):
        sys.exit(f"The server did not start; its log is {log}:\n{log.read_text()}")
    print(line)
    return line.removeprefix(READY)


def command() -> str:
    """The `camgraph` command of the environment that runs this file."""
    found = shutil.which("camgraph", path=str(Path(sys.executable).parent))
    return found or sys.exit("The command camgraph is not installed beside this Python; run `make demo`.")


def heading(text: str) -> None:
    """Prints a heading."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def show(arguments: tuple[str, ...]) -> None:
    """Prints a command as one would type it."""
    print(f"$ camgraph {shlex.join(arguments)}", flush=True)


if __name__ == "__main__":
    main()
