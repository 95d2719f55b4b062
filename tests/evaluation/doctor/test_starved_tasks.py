"""Tasks that hardly move the shared features, and those that only look like it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from polytask.evaluation.doctor.finding import Finding
from polytask.evaluation.doctor.starved_tasks import find_starved_tasks
from polytask.evaluation.doctor.training_curves import TrainingCurves
from tests.evaluation.doctor.worlds import World


def find_starved(size_loss: float, other_loss: float, norm: float = 0.01, looks: int = 6) -> list[Finding]:
    """Two pooled tasks: the gradient of `size` is `norm` of the other's; both end at these losses."""
    entries: list[dict[str, Any]] = [
        {
            "step": k + 1,
            "gradients": {
                "losses": {"size": size_loss, "grade": other_loss},
                "norms": {"size": norm, "grade": 1.0},
                "weights": {"size": 1.0, "grade": 1.0},
                "cosines": {},
            },
        }
        for k in range(looks)
    ]
    entries.append({"step": looks, "loss": {"size": size_loss, "grade": other_loss}})
    chart = World(tasks=("size", "grade")).chart()
    return list(
        find_starved_tasks(replace(chart, courses=(TrainingCurves.of("", ["size", "grade"], entries),)))
    )


def test_a_short_gradient_starves_a_task_that_stays_behind() -> None:
    (found,) = find_starved(size_loss=0.95, other_loss=0.4)
    assert found.tasks == ("size",)
    assert found.evidence["share"] == 1
    assert found.evidence["ratio"] == pytest.approx(0.01)
    assert found.remedy.endswith("--balance imtl_g")


def test_a_task_that_keeps_up_is_not_starved_however_short_its_gradient() -> None:
    assert not find_starved(size_loss=0.6, other_loss=0.4)


@pytest.mark.parametrize(("other", "said"), [(0.85, True), (0.92, False)])
def test_nobody_is_behind_where_the_others_have_not_fallen_by_a_tenth(other: float, said: bool) -> None:
    assert bool(find_starved(size_loss=0.99, other_loss=other)) == said


def test_a_gradient_of_a_tenth_is_short_enough_for_nothing() -> None:
    assert not find_starved(size_loss=0.95, other_loss=0.4, norm=0.1)


def test_a_solved_task_and_too_few_looks_say_nothing() -> None:
    assert not find_starved(size_loss=0.05, other_loss=0.01)
    assert not find_starved(size_loss=0.95, other_loss=0.4, looks=4)
