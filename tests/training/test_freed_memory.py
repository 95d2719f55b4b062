"""Memory that is freed stays with the process, so that the next step finds it mapped: counted in page faults."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest

from polytask.training.freed_memory import MALLOC_VARIABLES, give_freed_memory_back, keep_freed_memory

GLIBC = platform.libc_ver()[0] == "glibc"
ROUNDS, BYTES = 15, 64 * 2**20
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
    environment = {k: v for k, v in os.environ.items() if k not in MALLOC_VARIABLES}
    ran = subprocess.run(
        [sys.executable, "-c", COUNT, side], check=True, capture_output=True, text=True, env=environment
    )
    return int(ran.stdout)


@pytest.mark.skipif(not GLIBC, reason="another C library decides for itself")
def test_the_next_array_of_that_size_is_mapped_already() -> None:
    assert faults("kept") < 0.5 * faults("given back")


@pytest.mark.parametrize(
    ("largest", "asked"),
    [
        (2**40, [(-3, 2**30), (-1, 2**31 - 1)]),
        (
            2**25,
            [(-3, 2**30), (-3, 2**25), (-1, 2**31 - 1)],
        ),  # glibc may refuse more than it grows to by itself
        (0, [(-3, 2**30), (-3, 2**25)]),  # then nothing is changed: either call ends that growing
    ],
)
def test_a_threshold_that_is_refused(
    largest: int, asked: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[int, int]] = []

    def mallopt(parameter: int, value: int) -> int:
        calls.append((parameter, value))
        return int(parameter != -3 or value <= largest)

    for name in MALLOC_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    assert keep_freed_memory() is (largest > 0)
    assert calls == asked


@pytest.mark.skipif(not GLIBC, reason="another C library decides for itself")
def test_it_can_be_given_back() -> None:
    code = """
import psutil, torch
from polytask.training.freed_memory import give_freed_memory_back, keep_freed_memory
keep_freed_memory()
held = lambda: psutil.Process().memory_info().rss
before = held()
arrays = [torch.ones(2**24) for _ in range(8)]
last = torch.ones(1)
del arrays
kept = held() - before
give_freed_memory_back()
print(kept, held() - before)
"""
    environment = {k: v for k, v in os.environ.items() if k not in MALLOC_VARIABLES}
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    kept, after = map(int, said.split())
    assert kept > 256 * 2**20
    assert after < 0.3 * kept


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    assert keep_freed_memory() is False
    give_freed_memory_back()


def test_who_decided_by_hand_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")
    assert keep_freed_memory() is False
