"""Freed memory is kept for the next step instead of going back to the system.

glibc takes every large array from the system and gives it back when it is freed, so each step of a training on the CPU
has all its activations handed out, zeroed and mapped page by page anew: up to a quarter of its time was seen in 3D
(`benchmarks/freed_memory.py`). The most memory that a process needs stays the same; it keeps it until it ends, or until
it is told to give it back.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""glibc's numbers of these parameters (mallopt(3))."""
KEPT = 2**31 - 1
LARGEST = (2**30, 2**25)
"""Bytes of one array that is still kept, a larger one goes back: the first that glibc takes. Some versions take none
above 32 MiB, which is as far as they grow by themselves."""
BY_HAND = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
"""Who sets one of these knows better."""


def keep_freed_memory() -> bool:
    """For this process, from now on. False where the C library is not glibc, or the environment decides."""
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        return False
    # Either call ends glibc's own growing of the thresholds: the second alone would make every array go back.
    return any(mallopt(MMAP_THRESHOLD, size) for size in LARGEST) and bool(mallopt(TRIM_THRESHOLD, KEPT))


def give_freed_memory_back() -> None:
    """What is free now goes back to the system: for a process that lives on after its large arrays."""
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_glibc(name: str) -> Callable[..., int] | None:
    if any(word in os.environ for word in BY_HAND):
        return None
    try:
        return getattr(ctypes.CDLL(None), name)  # type: ignore[no-any-return]
    except (AttributeError, OSError, TypeError):
        return None
