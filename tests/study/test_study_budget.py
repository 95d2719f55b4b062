from __future__ import annotations

from pathlib import Path

import pytest

from polytask.errors import PolytaskError
from polytask.plan.plan_schema import Plan, TrainingPlan
from polytask.study.arms import Arm
from polytask.study.study_budget import fix_step_budget
from polytask.study.study_design import ArmTiming
from polytask.study.study_request import StudyRequest

ARMS = (Arm("single", "single"), Arm("hard", "hard"), Arm("ctan", "ctan"))
PACES = {"single": ArmTiming(5.0, 9.0, 10), "hard": ArmTiming(1.0, 3.0, 10), "ctan": ArmTiming(2.0, 3.0, 10)}


@pytest.fixture
def settings(prepared_once: Path) -> TrainingPlan:
    training = Plan.read(prepared_once / "work").shared.training
    return training.model_copy(update={"epochs": 7, "steps_per_epoch": 10, "tune_every": 1})


def test_the_plan_decides_by_default(settings: TrainingPlan) -> None:
    budget = fix_step_budget(StudyRequest(), settings, ARMS, PACES)
    assert (budget.steps, budget.how) == (70, "the plan's 7 epochs of 10 steps")


def test_minutes_are_those_of_the_slowest_joint_arm(settings: TrainingPlan) -> None:
    # ctan: 2 s a step; tune 3 s every 2 epochs = 20 steps: (60 − 3) / (2 + 3/20) = 26.5
    budget = fix_step_budget(StudyRequest(minutes=1.0), settings, ARMS, PACES)
    assert (budget.steps, budget.tune_every) == (26, 2)
    assert "ctan" in budget.how


def test_tune_takes_at_most_15_per_cent_of_every_joint_arm(settings: TrainingPlan) -> None:
    # hard: 3 s against 10 s an epoch; 15 % of 20 s is 3 s
    assert fix_step_budget(StudyRequest(steps=5), settings, ARMS, PACES).tune_every == 2
    light = {**PACES, "hard": ArmTiming(1.0, 0.1, 10), "ctan": ArmTiming(2.0, 0.1, 10)}
    assert fix_step_budget(StudyRequest(steps=5), settings, ARMS, light).tune_every == 1


def test_tune_every_by_hand_stands(settings: TrainingPlan) -> None:
    wanted = StudyRequest(steps=5, overrides=("training.tune_every=1",))
    assert fix_step_budget(wanted, settings, ARMS, PACES).tune_every == 1


def test_too_few_minutes_are_refused(settings: TrainingPlan) -> None:
    with pytest.raises(PolytaskError, match=r"arm ctan takes 2 s.*give more minutes"):
        fix_step_budget(StudyRequest(minutes=0.05), settings, ARMS, PACES)
    with pytest.raises(PolytaskError, match="no arm could be timed"):
        fix_step_budget(StudyRequest(minutes=1.0), settings, ARMS, {"single": PACES["single"]})
