from __future__ import annotations

from pathlib import Path

import pytest

from polytask.errors import PolytaskError
from polytask.plan.files import read_plan
from polytask.plan.plan import Training
from polytask.study.arms import Arm
from polytask.study.budget import budget_of
from polytask.study.design import Pace
from polytask.study.wanted import Wanted

ARMS = (Arm("single", "single"), Arm("hard", "hard"), Arm("ctan", "ctan"))
PACES = {"single": Pace(5.0, 9.0, 10), "hard": Pace(1.0, 3.0, 10), "ctan": Pace(2.0, 3.0, 10)}


@pytest.fixture
def settings(prepared_once: Path) -> Training:
    training = read_plan(prepared_once / "work").shared.training
    return training.model_copy(update={"epochs": 7, "steps_per_epoch": 10, "tune_every": 1})


def test_the_plan_decides_by_default(settings: Training) -> None:
    budget = budget_of(Wanted(), settings, ARMS, PACES)
    assert (budget.steps, budget.how) == (70, "the plan's 7 epochs of 10 steps")


def test_minutes_are_those_of_the_slowest_joint_arm(settings: Training) -> None:
    # ctan: 2 s a step; tune 3 s every 2 epochs = 20 steps: (60 − 3) / (2 + 3/20) = 26.5
    budget = budget_of(Wanted(minutes=1.0), settings, ARMS, PACES)
    assert (budget.steps, budget.tune_every) == (26, 2)
    assert "ctan" in budget.how


def test_tune_takes_at_most_15_per_cent_of_every_joint_arm(settings: Training) -> None:
    # hard: 3 s against 10 s an epoch; 15 % of 20 s is 3 s
    assert budget_of(Wanted(steps=5), settings, ARMS, PACES).tune_every == 2
    light = {**PACES, "hard": Pace(1.0, 0.1, 10), "ctan": Pace(2.0, 0.1, 10)}
    assert budget_of(Wanted(steps=5), settings, ARMS, light).tune_every == 1


def test_tune_every_by_hand_stands(settings: Training) -> None:
    wanted = Wanted(steps=5, overrides=("training.tune_every=1",))
    assert budget_of(wanted, settings, ARMS, PACES).tune_every == 1


def test_too_few_minutes_are_refused(settings: Training) -> None:
    with pytest.raises(PolytaskError, match=r"arm ctan takes 2 s.*give more minutes"):
        budget_of(Wanted(minutes=0.05), settings, ARMS, PACES)
    with pytest.raises(PolytaskError, match="no arm could be timed"):
        budget_of(Wanted(minutes=1.0), settings, ARMS, {"single": PACES["single"]})
