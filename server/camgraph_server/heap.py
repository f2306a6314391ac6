"""The heap of this process: what glibc keeps of freed memory. Other C libraries are left alone."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

_ARENAS = 2
_LARGE = 4 << 20  # bytes
_KEPT = 8 << 20  # bytes
_OPTIONS = {"M_ARENA_MAX": (-8, _ARENAS), "M_MMAP_THRESHOLD": (-3, _LARGE), "M_TRIM_THRESHOLD": (-1, _KEPT)}  # malloc.h


def keep_little() -> None:
    """Lets the heap of this process keep little of what is freed. Call it before threads are started.

    All threads share two arenas. By default there are up to eight per core, and each keeps the freed memory of the
    largest requests that met in it: a server whose requests differ in size grows for hours
    (`make chaos CHAOS=mutated`). For the same reason a large array lies outside the arenas, and what is free at the end
    of an arena goes back: glibc raises both bounds to 32 and 64 MiB once an array of that size was freed.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        for option, value in _OPTIONS.values():
            mallopt(option, value)


def trim() -> None:
    """Returns freed memory to the system, of which glibc keeps most otherwise."""
    malloc_trim = _of_glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


@cache
def _of_glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None)
