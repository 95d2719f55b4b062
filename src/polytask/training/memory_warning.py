"""Warns before a training whose step needs more memory than the device's target, such as one of a heavier preset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import torch

from polytask.cohort.header import Header
from polytask.model.sharing_names import has_forms, name_block_form
from polytask.plan.machine import GIB, Device, Machine, count_usable_cores, measure_host_memory
from polytask.plan.plan_schema import Plan
from polytask.plan.step_memory import predict_step_memory


@dataclass(frozen=True)
class MemoryExcess:
    """A step that is predicted to need more memory than it may fill.

    Args:
        words: what it needs and what there is, in words.
        fitting: the largest part of the batch that fits; 0 if not even one sample does.
    """

    words: str
    fitting: int


def find_memory_excess(
    plan: Plan, header: Header, networks: Mapping[str, Sequence[str]], machine: Machine, devices: int = 1
) -> MemoryExcess | None:
    """Predict whether a step exceeds the memory target, and which batch would fit; None where the step fits.

    The plan's sizes are those of its own architecture. A preset or an option of a run may need several times as much.

    Args:
        plan: the plan of the run.
        header: the header of its cohort.
        networks: network → its tasks; they are trained one after another, so that the largest one counts.
        machine: where the run trains.
        devices: number of processes with a device of their own, which divide the batch among them.
    """
    settings = plan.shared.training

    def predict_bytes(batch: int) -> float:
        trial = plan.model_copy(deep=True)
        trial.shared.training.batch = ceil(batch / devices)
        needs = []
        for tasks in networks.values():
            own = header.model_copy(update={"tasks": {n: header.tasks[n] for n in tasks}})
            memory = predict_step_memory(trial, own, machine.device)
            needs.append(memory.peak + memory.model)
        return max(needs, default=0.0)

    need = predict_bytes(settings.batch)
    if need <= machine.budget:
        return None
    parts = [n for n in range(settings.batch - 1, 0, -1) if settings.batch % n == n % devices == 0]
    block = name_block_form(plan.shared.model.sharing, plan.shared.model.form)
    return MemoryExcess(
        f"memory: a step of {settings.batch} samples with sharing {block} is predicted to need "
        f"{need / GIB:.3g} GiB, more than the {machine.budget / GIB:.3g} GiB that a step may fill on {machine}",
        next((n for n in parts if predict_bytes(n) <= machine.budget), 0),
    )


def describe_memory_excess(
    plan: Plan, header: Header, networks: Mapping[str, Sequence[str]], machine: Machine, devices: int = 1
) -> str:
    """Say that a step is predicted to exceed the memory target, and what would fit; empty where it fits."""
    excess, settings = find_memory_excess(plan, header, networks, machine, devices), plan.shared.training
    if excess is None:
        return ""
    if not excess.fitting:
        model = plan.shared.model
        form = f" --set model.form={model.form}" if has_forms(model.sharing) else ""
        return (
            f"{excess.words}; not even one sample fits: choose a lighter sharing block, or plan again with --set "
            f"model.sharing={model.sharing}{form} for a smaller patch or view"
        )
    steps = settings.accumulation * settings.batch // excess.fitting
    return (
        f"{excess.words}; --set training.batch={excess.fitting} --set training.accumulation={steps} gives the same "
        "step and fits"
    )


def describe_device(device: torch.device) -> Machine:
    """Describe the machine and the device of a run, as far as its memory is concerned."""
    kind: Device = "cuda" if device.type == "cuda" else "mps" if device.type == "mps" else "cpu"
    size = int(torch.cuda.get_device_properties(device).total_memory) if kind == "cuda" else 0
    return Machine(count_usable_cores(), measure_host_memory(), kind, size)
