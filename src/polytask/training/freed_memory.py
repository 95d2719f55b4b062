"""Keeps freed memory for the next step instead of giving it back to the system.

glibc takes every large array from the system and gives it back when the array is freed. So in each training step on the
CPU the system hands out all activations anew, zeroes them and maps them page by page: in 3D this took up to a quarter
of the time (`benchmarks/freed_memory.py`). The largest amount of memory that a process needs stays the same, but the
process holds it until it ends, or until it is told to give it back.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""The numbers that glibc gives these parameters (mallopt(3))."""
MAX_TRIM_THRESHOLD = 2**31 - 1
"""Freed bytes at the top of the heap up to which nothing is given back."""
MMAP_THRESHOLD_CHOICES = (2**30, 2**25)
"""Bytes up to which an array is kept after it is freed: the first value that glibc accepts is used. Some versions
accept none above 32 MiB, which is as far as glibc's own threshold grows."""
MALLOC_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
"""Environment variables that set malloc: a person who set one of them decides."""


def keep_freed_memory() -> bool:
    """Make this process keep freed memory from now on.

    Returns False when the C library is not glibc, or when the environment decides.
    """
    mallopt = _find_glibc_function("mallopt")
    if mallopt is None:
        return False
    # Either call ends glibc's own growing of the thresholds: the second alone would make every array go back.
    return any(mallopt(MMAP_THRESHOLD, size) for size in MMAP_THRESHOLD_CHOICES) and bool(
        mallopt(TRIM_THRESHOLD, MAX_TRIM_THRESHOLD)
    )


def give_freed_memory_back() -> None:
    """Give all free memory back to the system, for a process that lives on after its large arrays."""
    trim = _find_glibc_function("malloc_trim")
    if trim is not None:
        trim(0)


def _find_glibc_function(name: str) -> Callable[..., int] | None:
    if any(word in os.environ for word in MALLOC_VARIABLES):
        return None
    try:
        function: Callable[..., int] = getattr(ctypes.CDLL(None), name)
        return function
    except (AttributeError, OSError, TypeError):
        return None
