"""Survival of groups by predicted risk: Kaplan–Meier curves, log-rank test, hazard ratio of the highest group to the
lowest.

The groups have the cut-offs of the training risks, so that a new patient falls into one of the groups judged here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.array_types import NAN, Floats
from polytask.evaluation.evaluation_result import Estimate
from polytask.inference.pooled_answers import PooledAnswers
from polytask.kinds.step_curves import estimate_kaplan_meier
from polytask.plain import make_plain
from polytask.statistics.cox_model import fit_cox
from polytask.statistics.log_rank import LogRank, compute_log_rank
from polytask.tasks.risk_groups import RISK_GROUP_NAMES, assign_risk_groups

MIN_EVENTS_FOR_TEST = 10
"""No p and no interval is given for fewer events than this: both methods need many events to be right."""
# Standard errors on each side of a normal estimate that make a 95 % interval.
WALD_Z = 1.959964


@dataclass(frozen=True)
class RiskGroup:
    """Subjects with similar predicted risk.

    Args:
        name: name of the group. times, survival: the steps of its Kaplan–Meier curve (1 before the first).
        censored: times at which follow-up ended without the event. n, events: number of subjects and of events.
    """

    name: str
    times: tuple[float, ...]
    survival: tuple[float, ...]
    censored: tuple[float, ...]
    n: int
    events: int
    follow_up_times: tuple[float, ...]
    """Time to the event or to the end of follow-up, of every subject."""

    def at_risk(self, times: Sequence[float]) -> list[int]:
        """Count the subjects that are still followed just before each time."""
        own = np.asarray(self.follow_up_times)
        return [int((own >= t).sum()) for t in times]


def split_into_risk_groups(
    risk: npt.ArrayLike, times: npt.ArrayLike, events: npt.ArrayLike, cutoffs: Sequence[float]
) -> list[RiskGroup]:
    """Split subjects into groups by risk, low risk first; empty groups are left out. Without cut-offs all are one
    group."""
    r, t, e = np.asarray(risk, np.float64), np.asarray(times, np.float64), np.asarray(events) > 0
    place = assign_risk_groups(r, cutoffs)
    return [
        _build_risk_group(name, t[place == k], e[place == k])
        for k, name in enumerate(RISK_GROUP_NAMES[len(cutoffs)])
        if (place == k).any()
    ]


@dataclass(frozen=True)
class RiskGroupComparison:
    """Result of comparing the survival of risk groups.

    Args:
        cutoffs: training risks that separate the groups.
        groups: name → (subjects, events), every group, low risk first.
        log_rank: test over all groups; its p is NaN below 10 events.
        ratio: hazard ratio of the highest group to the lowest; its n counts the subjects of both.
        note: why something is not defined, "" otherwise.
    """

    cutoffs: tuple[float, ...]
    groups: dict[str, tuple[int, int]]
    log_rank: LogRank
    ratio: Estimate
    note: str

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as plain dicts for JSON."""
        plain_values: dict[str, Any] = make_plain(
            {
                "cutoffs": self.cutoffs,
                "groups": {g: {"n": n, "events": e} for g, (n, e) in self.groups.items()},
                "log_rank": self.log_rank._asdict(),
                "hazard_ratio": self.ratio._asdict(),
                "note": self.note,
            }
        )
        return plain_values


def compare_risk_groups(
    risk: npt.ArrayLike, times: npt.ArrayLike, events: npt.ArrayLike, cutoffs: Sequence[float]
) -> RiskGroupComparison:
    """Test all groups with the log-rank test, and compute the hazard ratio of the highest group to the lowest.

    The ratio and its 95 % Wald interval come from a Cox model whose only columns are the groups.
    """
    r, t, e = np.asarray(risk, np.float64), np.asarray(times, np.float64), np.asarray(events) > 0
    place, names = assign_risk_groups(r, cutoffs), RISK_GROUP_NAMES[len(cutoffs)]
    counts = {g: (int((place == k).sum()), int(e[place == k].sum())) for k, g in enumerate(names)}
    nothing = Estimate(NAN, NAN, NAN, 0)
    test = compute_log_rank(t, e, place)
    low, high = names[0], names[-1]
    if len(names) == 1:
        return RiskGroupComparison((), counts, test, nothing, "no cut-offs: the training risks are all equal")
    # A group without an event has a hazard of 0: Cox's slope then runs to infinity, so no ratio is given.
    empty = [g for g in (low, high) if not counts[g][1]]
    if empty:
        why = "has no event" if counts[empty[0]][0] else "has no subject"
        return RiskGroupComparison(
            tuple(cutoffs), counts, _drop_unreliable_p(test, e), nothing, f"the group of {empty[0]} {why}"
        )
    # A middle group without an event has a hazard of 0: the same as leaving its subjects out of the risk sets.
    in_model = np.isin(place, [k for k, g in enumerate(names) if counts[g][1]])
    columns = [place[in_model] == k for k in range(1, len(names)) if counts[names[k]][1]]
    fit = fit_cox(np.stack(columns, axis=1), t[in_model], e[in_model])
    if not fit.converged:
        return RiskGroupComparison(
            tuple(cutoffs),
            counts,
            _drop_unreliable_p(test, e),
            nothing,
            "the groups were never at risk at the same time",
        )
    # The lowest group is the baseline, so the last column is the highest group against it.
    slope, error = float(fit.coefficients[-1]), float(np.sqrt(fit.covariance[-1, -1]))
    n = counts[low][0] + counts[high][0]
    hazard_ratio, low_end, high_end = (float(np.exp(slope + side * WALD_Z * error)) for side in (0, -1, 1))
    ratio = Estimate(hazard_ratio, low_end, high_end, n)
    note = ""
    if e.sum() < MIN_EVENTS_FOR_TEST:
        note = f"{int(e.sum())} events, too few for an interval or p (expected {MIN_EVENTS_FOR_TEST})"
        ratio = ratio._replace(low=NAN, high=NAN)
    return RiskGroupComparison(tuple(cutoffs), counts, _drop_unreliable_p(test, e), ratio, note)


def select_known_survival(items: PooledAnswers) -> tuple[Floats, Floats, Floats]:
    """Select (risk, time, event) of the known items; of a task answered at each visit, the first known one of a
    subject."""
    first: dict[str, int] = {}
    for k, ((subject, _), known) in enumerate(zip(items.ids, items.known, strict=True)):
        if known and np.isfinite(items.prediction["risk"][k]):
            # Visits of one subject share its survival: only one may count in a risk set.
            first.setdefault(subject, k)
    at = np.array(list(first.values()), np.int64)
    value = np.asarray(items.value, np.float64).reshape(-1, 2)[at]
    return np.asarray(items.prediction["risk"], np.float64)[at], value[:, 0], value[:, 1]


def _drop_unreliable_p(test: LogRank, events: npt.NDArray[np.bool_]) -> LogRank:
    return test if events.sum() >= MIN_EVENTS_FOR_TEST else test._replace(p=NAN)


def _build_risk_group(name: str, times: Floats, events: npt.NDArray[np.bool_]) -> RiskGroup:
    curve = estimate_kaplan_meier(times, events.astype(np.float64))
    return RiskGroup(
        name,
        curve["times"],
        curve["survival"],
        tuple(np.sort(times[~events]).tolist()),
        int(times.size),
        int(events.sum()),
        tuple(times.tolist()),
    )
