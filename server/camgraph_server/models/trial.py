"""Files that nobody has opened before are opened in a process of their own first.

A damaged file can end the process that opens it, or take all its memory: onnxruntime is not written for hostile files.
The trial's process has limits, and is the first that the kernel ends when memory runs out. One serves for many files;
if one ends it, the next file gets a new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import resource
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from camgraph_core.errors import CamgraphError, DeviceError, InvalidGraphError
from camgraph_runtime.run.machine import available_memory
from camgraph_runtime.run_memory import RunMemory
from camgraph_server.config import ServerConfig
from camgraph_server.heap import keep_little
from camgraph_server.models.loading import load_checked
from camgraph_server.models.measuring import measured

_MAIN = "from camgraph_server.models.trial import main; main()"
_MOST_CPU_SECONDS = 3600
_STOPPING = "The server is stopping, so the file was not loaded."
_FIRST_TO_GO = "1000"  # for the kernel, when memory runs out


class Trial:
    """Opens files in a process of its own.

    Args:
        config: The settings that the models will be loaded with.
        patience: Seconds that one file may take.
    """

    def __init__(self, config: ServerConfig, patience: float) -> None:
        self._config = config
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        self._lock = threading.Lock()

    def check(self, path: Path) -> RunMemory | None:
        """Loads a file as the server will, checks its digest, explains an image with it, and measures what runs take.

        Returns:
            What runs take of memory; None where the system does not tell.

        Raises:
            InvalidGraphError: It cannot be loaded, or it ends the process that loads it.
        """
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        watchdog = threading.Timer(self._patience, process.kill)
        watchdog.start()
        try:
            process.stdin.write(json.dumps(str(path.absolute())).encode() + b"\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except (OSError, ValueError):  # it ended between two files, or `close` has closed its streams
            answer = b""
        finally:
            watchdog.cancel()
        if not answer:
            self._process = None
            code = _end(process)
            if self._is_closed:
                raise InvalidGraphError(_STOPPING)
            raise InvalidGraphError(f"{path.name} {self._what_happened(code)}")
        problem, memory = json.loads(answer)
        if problem:
            raise InvalidGraphError(problem)
        return None if memory is None else RunMemory(**memory)

    def rest(self) -> None:
        """Ends the process for now; the next file starts another. To be called between two files."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            _end(process)

    def close(self) -> None:
        """Ends the process, also in the middle of a file, for good."""
        with self._lock:
            self._is_closed = True
        self.rest()

    def _started(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_closed:
                raise InvalidGraphError(_STOPPING)
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _MAIN],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C in a terminal is for the server, which ends this one
                )
                assert self._process.stdin is not None
                pickle.dump(self._config, self._process.stdin)
            return self._process

    def _what_happened(self, code: int) -> str:
        if code == -9:
            longest = f"{self._patience:.0f} s"
            return f"took more memory than there is, or longer than {longest} to load. Export the graph again."
        if code < 0:
            return f"ends the process that loads it (exit {code}); the file is damaged. Export the graph again."
        return (
            f"was not opened: the process that opens files first ended by itself (exit {code}). See whether the "
            "limits of the server's process, such as that of memory, leave it enough."
        )


def _end(process: subprocess.Popen[bytes]) -> int:
    """Waits for the end of a process, closes its streams, and gives its exit code."""
    code = process.wait()
    for stream in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):  # what was still to be written has no reader
            if stream is not None:
                stream.close()
    return code


def main() -> None:
    """The trial's process: settings come first, then paths, one per line; for each goes out a sentence, or nothing."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    config: ServerConfig = pickle.load(sys.stdin.buffer)  # from the server, which started this process
    _limit_this_process(config)
    keep_little()  # as the server does, so that runs take as much here as there
    for line in sys.stdin.buffer:
        answers.write(json.dumps(_outcome(config, Path(json.loads(line)))) + "\n")
        answers.flush()


def _limit_this_process(config: ServerConfig) -> None:
    with contextlib.suppress(OSError):  # not every system has it
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, encoding="ascii")
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_CPU, _MOST_CPU_SECONDS)
    if config.device == "cpu":  # CUDA reserves far more than it uses
        _limit(resource.RLIMIT_DATA, available_memory())


def _limit(which: int, most: int) -> None:
    """Lowers a limit of this process; one that is lower already may not be raised."""
    _, highest = resource.getrlimit(which)
    most = most if highest == resource.RLIM_INFINITY else min(most, highest)
    resource.setrlimit(which, (most, most))


def _outcome(config: ServerConfig, path: Path) -> tuple[str, dict[str, Any] | None]:
    """What is wrong with a file, in a sentence, empty if nothing is; and what runs take, if that was measured."""
    try:
        with load_checked(config, path) as explainer:
            memory = measured(explainer)
    except DeviceError:  # not the file's fault; the server finds it out for itself
        return "", None
    except CamgraphError as error:
        return str(error), None
    except Exception as error:  # a library may raise anything on what is no graph
        return f"{path.name} cannot be loaded ({type(error).__name__}). Export the graph again.", None
    return "", None if memory is None else asdict(memory)
