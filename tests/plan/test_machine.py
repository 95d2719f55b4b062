"""The machine: what is found, what `--memory` changes, and the probe's choice."""

from __future__ import annotations

import pytest

from polytask.plan import machine, probe
from polytask.plan.machine import GIB, Machine, host_memory, this_machine, usable_cores


def test_what_is_found_is_plausible() -> None:
    assert usable_cores() >= 1
    assert host_memory() > 256 * 1024**2


def test_a_container_limits_cores_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"cpu.max": "100000 100000", "memory.max": str(GIB)}
    monkeypatch.setattr(machine, "_first_line", lambda path: limits[path.name])
    assert usable_cores() == 1
    assert host_memory() == GIB
    limits.update({"cpu.max": "max 100000", "memory.max": "max"})
    assert host_memory() > GIB / 4


def test_memory_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    laptop = Machine(2, 24 * GIB, precision="bf16", gain=2.0)
    monkeypatch.setattr(machine, "_look", lambda: laptop)
    assert this_machine() == laptop
    assert this_machine(4).memory == 4_000_000_000
    assert this_machine(4).budget == 2_000_000_000
    card = Machine(16, 128 * GIB, "cuda", 80 * GIB, "bf16", 3.0)
    monkeypatch.setattr(machine, "_look", lambda: card)
    assert this_machine(10).device_memory == 10_000_000_000


@pytest.mark.parametrize(("gain", "precision"), [(2.0, "bf16"), (1.1, "float32"), (0.5, "float32")])
def test_precision_follows_the_probe(monkeypatch: pytest.MonkeyPatch, gain: float, precision: str) -> None:
    monkeypatch.setattr(probe, "_gain", lambda device: gain)
    assert probe.probe_precision("cpu") == (precision, gain)


def test_mps_stays_in_float32() -> None:
    assert probe.probe_precision("mps") == ("float32", 0.0)


def test_the_probe_leaves_threads_and_random_numbers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(probe, "SECONDS", 0.0)
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    _, gain = probe.probe_precision("cpu")
    assert gain > 0
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)
