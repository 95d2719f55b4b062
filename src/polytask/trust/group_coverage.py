"""Checks for whom a promise holds: coverage and calibration error of every site and subgroup, on unseen halves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from polytask.array_types import NAN, Floats
from polytask.evaluation.evaluation_result import Estimate
from polytask.evaluation.metric_calculator import MetricCalculator
from polytask.evaluation.metric_estimates import build_estimate
from polytask.evaluation.strata_results import average_estimates, list_strata, subtract_estimates
from polytask.evaluation.subgroup_results import estimate_group_calibration
from polytask.inference.pooled_answers import PooledAnswers

if TYPE_CHECKING:
    from polytask.trust.fit_runs import RunsTrust

RESAMPLES = 1000
"""Random weightings of the subjects for an interval of the coverage."""
GroupsBySubject = Mapping[str, Mapping[str, str]]
"""Column, `site` among them → subject → group ("" where it is unknown)."""


@dataclass(frozen=True)
class GroupCheck:
    """What the halves that fitted nothing showed about the answers of one group.

    Args:
        subjects: with a known answer.
        coverage: share of the sets that held the truth. difference: it minus that of all other groups.
        error: expected calibration error of the calibrated answers; NaN without probabilities. error_difference: it
            minus that of the others.
    """

    subjects: int
    coverage: Estimate
    difference: Estimate
    error: Estimate
    error_difference: Estimate


GroupChecks = dict[str, dict[str, GroupCheck]]
"""Column → group → what was seen there; a column with one group is left out."""


def check_groups(
    answers: PooledAnswers, held: Floats, calibrated: Floats | None, groups: GroupsBySubject
) -> GroupChecks:
    """Compare the coverage and the calibration error of every group with those of everybody else.

    Args:
        held: `[N, questions]`, share of the splits that checked an answer in which its set held the truth; NaN where it
            is unknown or was never checked.
        calibrated: `[N, C]`, probabilities calibrated by halves that an answer was not in.
    """
    checks: GroupChecks = {}
    subjects = [subject for subject, _ in answers.ids]
    shown = None if calibrated is None else replace(answers, prediction={"p": calibrated})
    for column, by_subject in groups.items():
        present = {s: by_subject.get(s, "") for s in subjects}
        names = list_strata(present)
        if len(names) < 2:
            continue
        checks[column] = {}
        for name in names:
            parts = [
                [s for s, own in present.items() if own == name],
                [s for s, own in present.items() if own and own != name],
            ]
            here, there = (estimate_coverage(subjects, held, who) for who in parts)
            error, other = (estimate_group_calibration(shown, who) for who in parts)
            checks[column][name] = GroupCheck(
                len(parts[0]), here, subtract_estimates(here, there), error, subtract_estimates(error, other)
            )
    return checks


def estimate_coverage(subjects: Sequence[str], held: Floats, chosen: Sequence[str]) -> Estimate:
    """Estimate the coverage among the chosen subjects, with an interval over subjects."""
    place = {s: k for k, s in enumerate(chosen)}
    rows = np.array([k for k, s in enumerate(subjects) if s in place], np.int64)
    owner = np.array([place[subjects[k]] for k in rows], np.int64)
    values = held[rows]
    known = np.isfinite(values)
    owners = np.broadcast_to(owner[:, None], values.shape)[known]
    calculator = MetricCalculator(len(chosen), owners, RESAMPLES)
    return build_estimate(calculator.bounded_mean(values[known]), int(known.sum()))


def average_groups(checks: Sequence[GroupChecks]) -> dict[str, dict[str, tuple[Estimate, Estimate]]]:
    """Average coverage and difference of each group over members, whose subjects are others: column → group → both."""
    averaged: dict[str, dict[str, tuple[Estimate, Estimate]]] = {}
    for column in dict.fromkeys(column for own in checks for column in own):
        for group in dict.fromkeys(g for own in checks for g in own.get(column, {})):
            told = [own[column][group] for own in checks if group in own.get(column, {})]
            averaged.setdefault(column, {})[group] = (
                average_estimates([c.coverage for c in told]),
                average_estimates([c.difference for c in told]),
            )
    return averaged


def list_group_remarks(fitted: RunsTrust) -> Iterator[str]:
    """Name for each task the group whose sets hold the truth least often, and say how many groups were looked at."""
    looked = 0
    for name, members in fitted.tasks.items():
        averaged = average_groups([own.check.groups for own in members if own.check is not None])
        told = [
            (column, group, coverage, difference)
            for column, groups in averaged.items()
            for group, (coverage, difference) in groups.items()
            if isfinite(difference.low)
        ]
        few = sum(map(len, averaged.values())) - len(told)
        looked += len(told)
        small = f"; {few} with too few subjects for a difference" if few else ""
        if told:
            column, group, coverage, difference = min(told, key=lambda own: own[3].estimate)
            clear = "" if difference.high < 0 else "; the interval includes 0"
            yield (
                f"{name}: held least often in {column} {group}: {coverage.estimate:.0%} (n {coverage.n}), "
                f"{difference.estimate:+.0%} ({difference.low:+.0%} to {difference.high:+.0%}) against all others"
                f"{clear}{small}"
            )
        elif few:
            yield f"{name}: {few} groups, each with too few subjects to compare coverage"
    if looked:
        yield f"{looked} groups were compared; about {looked / 20:.2g} would stand out by chance alone"


def parse_group_checks(content: Mapping[str, Any]) -> GroupChecks:
    """Parse the checks of all groups from their plain form in JSON."""
    return {
        column: {
            group: GroupCheck(
                int(entry["subjects"]),
                *(
                    _parse_estimate(entry[key])
                    for key in ("coverage", "difference", "error", "error_difference")
                ),
            )
            for group, entry in groups.items()
        }
        for column, groups in content.items()
    }


def _parse_estimate(entry: Any) -> Estimate:
    estimate, low, high = (NAN if x is None else float(x) for x in entry[:3])
    return Estimate(estimate, low, high, int(entry[3]), str(entry[4]))
