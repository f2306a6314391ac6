"""Programs of others that send load, ready to run in a test: a folder with each of them, and their environment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from support.peers import Peer

_LIBRARIES = {"libb64.so.0d": "libb64-*.so.0d", "libcudart.so.12": "libcudart-*.so.12*"}


def environment_of(program: str, peer: Callable[[str], Peer], folder: Path) -> dict[str, str]:
    """Environment variables with which a command finds the program; the test is skipped where it is not installed.

    Args:
        program: perf_analyzer, k6, h2load or grpcurl.
        peer: The fixture.
        folder: Gets links to libraries, if the program needs any.
    """
    if program == "h2load":
        if shutil.which(program) is None:
            pytest.skip("h2load is not installed: Debian has it in the package nghttp2-client")
        return dict(os.environ)
    installed = peer(program).program(program)
    environment = os.environ | {"PATH": os.pathsep.join([str(installed.parent), os.environ["PATH"]])}
    if program == "perf_analyzer":
        environment["LD_LIBRARY_PATH"] = str(_libraries(peer("triton"), folder))
    return environment


def _libraries(triton: Peer, folder: Path) -> Path:
    """The libraries of perf_analyzer, which Triton's wheel has under names of its own."""
    links = folder / "libraries"
    links.mkdir()
    for name, pattern in _LIBRARIES.items():
        [found] = (triton.packages / "nvidia_pytriton.libs").glob(pattern)
        (links / name).symlink_to(found)
    return links
