"""Tasks that are absent from most steps, and how often they are then asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from polytask.evaluation.doctor.finding import Finding
from polytask.evaluation.doctor.rare_tasks import find_rare_tasks
from polytask.evaluation.doctor.training_curves import TrainingCurves
from tests.evaluation.doctor.worlds import World


def find_seldom(share: float, steps: int = 40, asked: int = 0) -> list[Finding]:
    entries = [{"step": steps, "loss": {"size": 0.5}, "present": {"size": share}}]
    chart = World(tasks=("size",), require={"size": asked} if asked else {}).chart()
    return list(find_rare_tasks(replace(chart, courses=(TrainingCurves.of("", ["size"], entries),))))


def test_a_task_in_half_of_the_steps_is_not_seldom() -> None:
    assert not find_seldom(0.5)
    (found,) = find_seldom(0.45)
    assert found.says == "size is missing from most steps: some of its values were known in 45% of 40 steps"
    assert found.evidence == {"share": 0.45, "steps": 40}


def test_little_is_said_of_a_short_training() -> None:
    assert not find_seldom(0.1, steps=19)
    assert find_seldom(0.1, steps=20)


def test_a_short_training_hides_no_longer_one() -> None:
    courses = tuple(
        TrainingCurves.of(task, [task], [{"step": steps, "loss": {task: 0.5}, "present": {task: 0.1}}])
        for task, steps in (("size", 10), ("grade", 40))
    )
    found = find_rare_tasks(replace(World(tasks=("size", "grade")).chart(), courses=courses))
    assert [f.tasks for f in found] == [("grade",)]


@pytest.mark.parametrize(
    ("share", "asked", "remedy"),
    [
        (0.3, 0, "require_every.size=1"),
        (0.24, 0, "require_every.size=2"),
        (0.2, 0, "require_every.size=2"),
        (0.3, 3, "require_every.size=2"),
        (0.3, 2, "require_every.size=1"),
        (0.2, 2, "training.accumulation=2"),
        (0.3, 1, "training.accumulation=2"),
    ],
)
def test_the_remedy_asks_for_it_more_often_than_now(share: float, asked: int, remedy: str) -> None:
    (found,) = find_seldom(share, asked=asked)
    assert found.remedy.endswith(remedy)
