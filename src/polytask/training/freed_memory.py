"""Freed memory is kept for the next step instead of going back to the system.

glibc takes every large array from the system and gives it back when it is freed, so each step of a training on the CPU
has all its activations handed out, zeroed and mapped page by page anew: a fifth to a quarter of its time in 3D
(`benchmarks/freed_memory.py`). The most memory that a process needs stays the same; it keeps it until it ends.
"""

from __future__ import annotations

import ctypes
import os

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""glibc's numbers of these parameters (mallopt(3))."""
KEPT = 2**31 - 1
LARGEST = 2**30
"""Bytes of one array that is still kept; a larger one goes back."""
BY_HAND = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
"""Who sets one of these knows better."""


def keep_freed_memory() -> bool:
    """For this process, from now on. False where the C library is not glibc, or the environment decides."""
    if any(name in os.environ for name in BY_HAND):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(TRIM_THRESHOLD, KEPT) and mallopt(MMAP_THRESHOLD, LARGEST))
