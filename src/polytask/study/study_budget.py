"""How long every run trains: the number of optimizer steps, fixed once before the first run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from polytask.errors import PolytaskError
from polytask.plan.plan_schema import TrainingPlan
from polytask.study.arms import Arm
from polytask.study.study_design import ArmTiming
from polytask.study.study_request import StudyRequest

MAX_TUNE_TIME_SHARE = 0.15
TUNE_EVERY_SETTING = "training.tune_every="


@dataclass(frozen=True)
class StepBudget:
    """The optimizer steps of every network, the epochs between evaluations on tune, and `how` the steps were set."""

    steps: int
    tune_every: int
    how: str


def fix_step_budget(
    request: StudyRequest, settings: TrainingPlan, arms: Sequence[Arm], timings: Mapping[str, ArmTiming]
) -> StepBudget:
    """Set the steps of every network from `--steps`, from `--minutes-per-run`, or from the plan's epochs.

    Minutes are converted with the timing of the slowest *joint* arm. Each network of `single` gets the same number of
    steps, so a run of `single` takes as long as all its networks need one after another.
    """
    every = choose_tune_every(request, settings, arms, timings)
    if request.steps is not None:
        return StepBudget(request.steps, every, f"--steps {request.steps}")
    if request.minutes is None:
        steps = settings.epochs * settings.steps_per_epoch
        how = f"the plan's {settings.epochs} epochs of {settings.steps_per_epoch} steps"
        return StepBudget(steps, every, how)
    timed = [arm for arm in select_joint_arms(arms) if arm.name in timings]
    if not timed:
        raise PolytaskError(
            f"--minutes-per-run {request.minutes:g}: no arm could be timed; see the message about each arm above, or "
            "give --steps"
        )
    slowest = max(timed, key=lambda arm: timings[arm.name].step)
    pace = timings[slowest.name]
    # One evaluation on tune is reserved for the end of the run; the others are part of the price of a step.
    seconds = request.minutes * 60 - pace.tune
    steps = int(seconds / (pace.step + pace.tune / (every * settings.steps_per_epoch)))
    if steps < 1:
        raise PolytaskError(
            f"--minutes-per-run {request.minutes:g}: one step of arm {slowest.name} takes {pace.step:.3g} s and one "
            f"evaluation on tune {pace.tune:.3g} s; give more minutes, or --steps"
        )
    return StepBudget(
        steps,
        every,
        f"{request.minutes:g} minutes of arm {slowest.name}, the slowest joint one, at {pace.step:.3g} s a step",
    )


def choose_tune_every(
    request: StudyRequest, settings: TrainingPlan, arms: Sequence[Arm], timings: Mapping[str, ArmTiming]
) -> int:
    """Choose the epochs between evaluations on tune: at least the plan's number, and so many that the evaluations of a
    joint arm take at most 15 % of the time of its steps. A value set by hand stays."""
    # `--set` accepts blanks around "=", so they are removed before comparing.
    if any(TUNE_EVERY_SETTING in text.replace(" ", "") for text in request.overrides or ()):
        return settings.tune_every
    known = [timings[arm.name] for arm in select_joint_arms(arms) if arm.name in timings]
    least = [
        ceil(p.tune / (MAX_TUNE_TIME_SHARE * p.step * settings.steps_per_epoch)) for p in known if p.step > 0
    ]
    return max([settings.tune_every, *least])


def select_joint_arms(arms: Sequence[Arm]) -> list[Arm]:
    """Return the arms whose networks have several tasks; all arms when there is no such arm."""
    return [arm for arm in arms if not arm.baseline] or list(arms)
