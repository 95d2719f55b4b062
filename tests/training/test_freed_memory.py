"""Memory that is freed stays with the process, so that the next step finds it mapped: counted in page faults."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from polytask.training.freed_memory import BY_HAND, keep_freed_memory

GLIBC = platform.libc_ver()[0] == "glibc"
ROUNDS, BYTES = 60, 64 * 2**20
COUNT = f"""
import resource, sys
import torch
from polytask.training.freed_memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.ones({BYTES // 4})
before = faults()
for _ in range({ROUNDS}): torch.ones({BYTES // 4})
print(faults() - before)
"""


def faults(side: str) -> int:
    environment = {k: v for k, v in os.environ.items() if k not in BY_HAND}
    ran = subprocess.run(
        [sys.executable, "-c", COUNT, side], check=True, capture_output=True, text=True, env=environment
    )
    return int(ran.stdout)


@pytest.mark.skipif(not GLIBC, reason="another C library decides for itself")
def test_the_next_array_of_that_size_is_mapped_already() -> None:
    assert faults("kept") < 0.5 * faults("given back")


def test_who_decided_by_hand_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")
    assert keep_freed_memory() is False
