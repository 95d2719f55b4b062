"""A run whose step needs more memory than the device's target is told so before it begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from polytask.cohort.cohort import Cohort
from polytask.plan.machine import GIB, Machine
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_values
from polytask.training import run as training_run
from polytask.training.memory_warning import describe_memory_excess
from polytask.training.run import SilentReporter, train

LARGE = Machine(2, 24 * GIB)


class RecordingReporter(SilentReporter):
    """A reporter that remembers what it was told to say."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def say(self, text: str) -> None:
        """Remember a message."""
        self.told.append(text)


def test_a_heavier_architecture_is_told_the_batch_that_fits(work: Path) -> None:
    plan = set_values(Plan.read(work), ["training.batch=4"])
    header = Cohort.read((work / plan.cohort).resolve()).header
    networks = {"": list(header.tasks)}

    def find_need(machine: Machine, *changes: str, networks: dict[str, list[str]] = networks) -> str:
        return describe_memory_excess(set_values(plan, changes), header, networks, machine)

    assert find_need(LARGE, "model.sharing=cross_stitch") == ""
    # The smallest machine that holds a step of the plan itself.
    sizes = [2**n * GIB // 2**12 for n in range(14)]
    small = next(m for m in (replace(LARGE, memory=size) for size in sizes) if not find_need(m))
    told = find_need(small, "model.sharing=cross_stitch")
    assert "with sharing cross_stitch is predicted to need" in told
    words = told.split("; ")[1].split()
    changes = [word for word in words if word.startswith("training.")]
    assert [word.split("=")[0] for word in changes] == ["training.batch", "training.accumulation"]
    batch, accumulation = (int(word.split("=")[1]) for word in changes)
    assert batch * accumulation == 4
    assert not find_need(small, "model.sharing=cross_stitch", *changes)
    # Devices divide the batch.
    heavy = set_values(plan, ["model.sharing=cross_stitch"])
    assert not describe_memory_excess(heavy, header, networks, small, 4 // batch)
    # Networks of their own are trained one after another: only the largest one counts.
    apart = {task: [task] for task in header.tasks}
    assert not find_need(small, "model.sharing=single", networks=apart)
    assert "not even one sample fits" in find_need(replace(LARGE, memory=1), "model.sharing=mtan")


def test_a_run_says_it_before_the_first_step(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_run, "describe_device", lambda device: replace(LARGE, memory=1))
    reporter = RecordingReporter()
    train(work, name="a", steps=1, tasks=["grade"], reporter=reporter)
    assert reporter.told[0].startswith("memory: a step of ")
    reporter.told.clear()
    monkeypatch.setattr(training_run, "describe_device", lambda device: LARGE)
    train(work, name="b", steps=1, tasks=["grade"], reporter=reporter)
    assert not any(text.startswith("memory") for text in reporter.told)
