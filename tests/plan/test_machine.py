"""The machine: what is found, what `--memory` changes, and the probe's choice."""

from __future__ import annotations

import pytest

from polytask.plan import machine, precision_probe
from polytask.plan.machine import GIB, Machine, count_usable_cores, detect_machine, measure_host_memory


def test_what_is_found_is_plausible() -> None:
    assert count_usable_cores() >= 1
    assert measure_host_memory() > 256 * 1024**2


def test_a_container_limits_cores_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"cpu.max": "100000 100000", "memory.max": str(GIB)}
    monkeypatch.setattr(machine, "_read_cgroup_file", lambda path: limits[path.name])
    assert count_usable_cores() == 1
    assert measure_host_memory() == GIB
    limits.update({"cpu.max": "max 100000", "memory.max": "max"})
    assert measure_host_memory() > GIB / 4


def test_memory_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    laptop = Machine(2, 24 * GIB, precision="bf16", gain=2.0)
    monkeypatch.setattr(machine, "_detect_machine_once", lambda: laptop)
    assert detect_machine() == laptop
    assert detect_machine(4).memory == 4_000_000_000
    assert detect_machine(4).budget == 2_000_000_000
    card = Machine(16, 128 * GIB, "cuda", 80 * GIB, "bf16", 3.0)
    monkeypatch.setattr(machine, "_detect_machine_once", lambda: card)
    assert detect_machine(10).device_memory == 10_000_000_000


@pytest.mark.parametrize(("gain", "precision"), [(2.0, "bf16"), (1.1, "float32"), (0.5, "float32")])
def test_precision_follows_the_probe(monkeypatch: pytest.MonkeyPatch, gain: float, precision: str) -> None:
    monkeypatch.setattr(precision_probe, "_measure_bf16_gain", lambda device: gain)
    assert precision_probe.probe_precision("cpu") == (precision, gain)


def test_mps_stays_in_float32() -> None:
    assert precision_probe.probe_precision("mps") == ("float32", 0.0)


def test_large_images_are_not_tried_where_small_ones_are_hopeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor without bf16 units took half a minute for them."""
    monkeypatch.setattr(precision_probe, "FULL_EDGE", 10**6)  # more than any memory holds
    monkeypatch.setattr(precision_probe, "HOPELESS_GAIN", float("inf"))
    assert precision_probe.probe_precision("cpu")[1] > 0
    monkeypatch.setattr(precision_probe, "HOPELESS_GAIN", 0.0)
    with pytest.raises(RuntimeError, match=r"(?i)alloc|memory|overflow|too large"):
        precision_probe.probe_precision("cpu")


def test_the_probe_leaves_threads_and_random_numbers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(precision_probe, "PROBE_SECONDS", 0.0)
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    _, gain = precision_probe.probe_precision("cpu")
    assert gain > 0
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)
