"""The heap of this process: what glibc keeps of freed memory. Other C libraries are left alone."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

_M_ARENA_MAX = -8  # of malloc.h
_ARENAS = 2


def share_few_arenas() -> None:
    """Lets all threads of this process allocate from two arenas. Call it before threads are started.

    By default there are up to eight per core, and each keeps the freed memory of the largest requests that met in it:
    a server whose requests differ in size grows for hours (`make chaos CHAOS=mutated`).
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def trim() -> None:
    """Returns freed memory to the system, of which glibc keeps most otherwise."""
    malloc_trim = _of_glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


@cache
def _of_glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None)
