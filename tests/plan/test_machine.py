"""The machine: what is found, what `--memory` changes, and the probe's choice."""

from __future__ import annotations

import pytest

from polytask.errors import PolytaskError
from polytask.plan import machine, precision_probe
from polytask.plan.machine import (
    GIB,
    Machine,
    count_usable_cores,
    detect_machine,
    measure_host_memory,
    replace_memory,
)


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


@pytest.mark.parametrize("memory", [float("nan"), float("inf"), -1.0, 0.0, 1e9])
def test_a_memory_that_no_machine_has_is_refused_in_one_line(memory: float) -> None:
    with pytest.raises(
        PolytaskError, match=r"^--memory \S+: expected GB of memory, a number such as 8 or 24$"
    ):
        replace_memory(Machine(2, 24 * GIB), memory)


@pytest.mark.parametrize(("gain", "precision"), [(2.0, "bf16"), (1.1, "float32"), (0.5, "float32")])
def test_precision_follows_the_probe(monkeypatch: pytest.MonkeyPatch, gain: float, precision: str) -> None:
    speeds = {"float32": 80e9, "bf16": 80e9 * gain}
    monkeypatch.setattr(precision_probe, "_measure_training_step", lambda device: (gain, speeds))
    assert precision_probe.probe_precision("cpu") == (precision, gain)
    assert precision_probe.probe_training_step("cpu").speed == speeds[precision]


def test_the_probe_counts_the_operations_of_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread computes between 1 and 1000 GFLOP/s; the count agrees with that of torch."""
    import torch
    from torch import nn
    from torch.utils.flop_counter import FlopCounterMode

    monkeypatch.setattr(precision_probe, "PROBE_SECONDS", 0.0)
    monkeypatch.setattr(precision_probe, "FULL_EDGE", 8)
    monkeypatch.setattr(precision_probe, "HOPELESS_GAIN", float("inf"))
    clock = iter(range(1000))
    monkeypatch.setattr(precision_probe.time, "process_time", lambda: float(next(clock)))
    layers = [nn.Conv3d(16, 16, 3, padding=1, bias=False) for _ in range(precision_probe.PROBE_LAYERS)]
    with FlopCounterMode(display=False) as counter:
        nn.Sequential(*layers)(torch.zeros(2, 16, 8, 8, 8)).sum().backward()
    # Each step takes one tick of the clock.
    assert precision_probe.probe_training_step("cpu").speed == pytest.approx(
        counter.get_total_flops(), rel=0.01
    )


def test_a_step_for_which_the_clock_stood_still_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision_probe, "PROBE_SECONDS", 0.0)
    monkeypatch.setattr(precision_probe, "FULL_EDGE", 8)
    # Two steps of the clock advance by one second, then two not at all, and so on.
    clock = iter(range(10_000))
    times = [0.0]

    def read_clock() -> float:
        number = next(clock)
        times.append(times[-1] + (number % 2) * (number // 4 % 2 == 0))
        return times[-1]

    monkeypatch.setattr(precision_probe.time, "process_time", read_clock)
    gain, speeds = precision_probe._measure_training_step("cpu")
    assert gain == 1.0
    assert all(0 < speed < float("inf") for speed in speeds.values())


def test_mps_stays_in_float32() -> None:
    assert precision_probe.probe_precision("mps") == ("float32", 0.0)


def test_bf16_is_not_tried_on_large_images_where_small_ones_are_hopeless(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A processor without bf16 units took half a minute for them."""
    monkeypatch.setattr(precision_probe, "PROBE_SECONDS", 0.0)
    monkeypatch.setattr(precision_probe, "FULL_EDGE", 8)
    monkeypatch.setattr(precision_probe, "HOPELESS_GAIN", float("inf"))
    assert set(precision_probe._measure_training_step("cpu")[1]) == {"float32"}
    monkeypatch.setattr(precision_probe, "HOPELESS_GAIN", 0.0)
    assert set(precision_probe._measure_training_step("cpu")[1]) == {"float32", "bf16"}


def test_the_probe_leaves_threads_and_random_numbers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(precision_probe, "PROBE_SECONDS", 0.0)
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    _, gain = precision_probe.probe_precision("cpu")
    assert gain > 0
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)
