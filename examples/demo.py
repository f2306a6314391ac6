"""The whole way in a minute: export a trained model, serve it, explain two photos over gRPC.

    python examples/demo.py [FOLDER]

Every step is a `camgraph` command that you can type yourself; each is printed before it runs. The pictures, the
explainable graph and the server's log land in FOLDER, by default `demo-output`. `make demo` runs this file.
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
MODEL = "efficientnet_lite0"
SOURCE = f"examples/models/{MODEL}.onnx"
CONFIG = f"examples/{MODEL}.toml"
PHOTOS = ("examples/photos/chelsea.png", "examples/photos/coffee.png")
READY = "listening on "
STOP_SECONDS = 40


def main(folder: str = "demo-output") -> None:
    """Runs the demo; everything it makes lands in `folder`."""
    models = f"{folder}/models"
    heading("1. Export: the trained model becomes an explainable graph and proves itself")
    run("export", SOURCE, "--output", f"{models}/{MODEL}.onnx", "--config", CONFIG)

    heading("2. Serve it over gRPC")
    with server(models, log=ROOT / folder / "server.log") as address:
        heading("3. Explain the two best classes of each photo through the server")
        choice = ("--server", address, "--model", MODEL, "--top-k", "2")
        run("explain", *PHOTOS, *choice, "--output", folder)

    heading("Done. Look at")
    for photo in PHOTOS:
        print(f"  {ROOT / folder / Path(photo).stem}.panel.png")


def run(*arguments: str) -> None:
    """Runs one camgraph command; ends the demo with its exit code if it fails."""
    show(arguments)
    outcome = subprocess.run([command(), *arguments], cwd=ROOT, check=False)
    if outcome.returncode != 0:
        sys.exit(outcome.returncode)


@contextmanager
def server(models: str, log: Path) -> Iterator[str]:
    """A server on a free port of this machine for as long as the context lasts; gives its address."""
    arguments = ("serve", "--model-repository", models, "--listen", "127.0.0.1:0")
    show(arguments)
    with log.open("w") as stderr:
        process = subprocess.Popen([command(), *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True)
    try:
        yield address_of(process, log)
    finally:
        stop(process)


def address_of(process: subprocess.Popen[str], log: Path) -> str:
    """Waits for the line by which the server says that it is ready, and where."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line.startswith(READY):
        sys.exit(f"The server did not start; its log is {log}:\n{log.read_text()}")
    print(line)
    return line.removeprefix(READY)


def stop(process: subprocess.Popen[str]) -> None:
    """Asks the server to stop, and insists if it does not."""
    process.terminate()
    try:
        process.communicate(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    print(f"The server (pid {process.pid}) stopped with exit code {process.returncode}.")


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
    main(*sys.argv[1:])
