"""Fits what a survival task promises on the held-out answers of each fold, and checks it on subjects that fitted
nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from polytask.inference.pooled_answers import PooledAnswers
from polytask.kinds.step_curves import estimate_censoring
from polytask.tasks.survival import Survival
from polytask.trust.conformal import find_smallest_count
from polytask.trust.survival.bounds import MemberBound, fit_bounds
from polytask.trust.survival.cases import SurvivalCases, list_places, select_place
from polytask.trust.survival.check_survival import SurvivalCheck, check_survival
from polytask.trust.survival.curves import list_curve_times
from polytask.trust.survival.horizon_calibrator import HorizonCalibrator, fit_horizons
from polytask.trust.survival.percentile_calibrator import PercentileCalibrator, fit_percentiles


@dataclass(frozen=True)
class SurvivalMember:
    """What one member promises at one place (a landmark, or "").

    Args:
        n, events: known held-out patients, and those with the event.
        bound: what the bound needs of this member.
        percentiles, horizons: the calibrator; at most one of them, None where calibrating was refused.
        refused: why nothing is calibrated. check: None where there are too few subjects.
    """

    n: int
    events: int
    bound: MemberBound
    percentiles: PercentileCalibrator | None = None
    horizons: HorizonCalibrator | None = None
    refused: str = ""
    check: SurvivalCheck | None = None


@dataclass(frozen=True)
class SurvivalPlace:
    """What the members promise together at one place.

    Args:
        share: whose predicted time is the bound; 0: the bound is 0, because too little is known.
        members: one for each fold.
    """

    share: float
    members: tuple[SurvivalMember, ...]


@dataclass(frozen=True)
class SurvivalTrust:
    """What the runs promise for one survival task.

    Args:
        unit: of its times. needed: known events that the level needs. horizons: of its probabilities.
        places: landmark → what is promised there; "" of a task without landmarks.
    """

    unit: str
    needed: int
    horizons: tuple[float, ...]
    places: dict[str, SurvivalPlace]


def explain_without_curves(task: Survival) -> str:
    """Explain why nothing can be promised for a task; empty where it can."""
    if len(list_curve_times(task)) and max(list_curve_times(task)) > 0:
        return ""
    if task.loss == "cox":
        return "it orders patients, but no baseline hazard was learned, so it has no times"
    return "it has no probability at any horizon; write `horizons` within the follow-up into the header"


def fit_survival(
    tasks: Sequence[Survival], answers: Sequence[PooledAnswers], alpha: float, seed: int = 0
) -> SurvivalTrust:
    """Fit bounds and calibrators of a task at each of its places, and check them on halves.

    Args:
        tasks: of each member the task as its fold knows it. answers: of each member, with curves (`add_curves`).
    """
    first, places = tasks[0], {}
    for place in list_places(first):
        known = [
            SurvivalCases.of(task, select_place(task, own, place), alpha)
            for task, own in zip(tasks, answers, strict=True)
        ]
        share, bounds = fit_bounds(known, alpha)
        members = tuple(
            _fit_member(task, own, bound, alpha, seed)
            for task, own, bound in zip(tasks, known, bounds, strict=True)
        )
        places[place] = SurvivalPlace(share, members)
    return SurvivalTrust(first.unit, find_smallest_count(alpha), tuple(first.horizons), places)


def _fit_member(
    task: Survival, cases: SurvivalCases, bound: MemberBound, alpha: float, seed: int
) -> SurvivalMember:
    n, events = len(cases.times), int(cases.events.sum())
    check = check_survival(task.horizons, cases, alpha, seed)
    if check is None:
        return SurvivalMember(n, events, bound, refused="too few subjects to see whether calibrating helps")
    losses = check.log_loss
    if not np.isfinite(losses["raw"].mean):
        why = "it has no probabilities to calibrate"
        return SurvivalMember(n, events, bound, refused=why, check=check)
    best = min(losses, key=lambda way: losses[way].mean)
    if best == "percentiles":
        percentiles = fit_percentiles(cases.passed, cases.seen)
        return SurvivalMember(n, events, bound, percentiles=percentiles, check=check)
    if best == "horizons":
        censoring = estimate_censoring(cases.times, cases.events)
        horizons = fit_horizons(cases.p, task.horizons, cases.times, cases.events, censoring)
        return SurvivalMember(n, events, bound, horizons=horizons, check=check)
    why = "it made the log loss of other subjects worse"
    return SurvivalMember(n, events, bound, refused=why, check=check)
