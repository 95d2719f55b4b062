"""Chooses how the visits of a subject and how the inputs of a case become one vector, from days and filled cells."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

import numpy as np

from polytask.cohort.cell_values import pooled_value
from polytask.cohort.cohort import Case
from polytask.cohort.read_visits import list_history_tasks, list_joined_visits
from polytask.kinds.plan_reasons import PlanReasons, format_share_percent, join_first_names
from polytask.plan.rules.shared_facts import SharedFacts
from polytask.plan.rules.source_subsets import find_filled_inputs

MAX_GAP_VARIATION = 0.25
"""Largest coefficient of variation of the days between neighboring visits at which visits still count as fixed."""
MAX_SLOT_VISITS = 3
"""Largest number of visits for which each visit has a place of its own; more are read as a set with days."""
MIN_MEASURED_GAPS = 3
"""Fewest gaps from which their variation is computed."""
MAX_MISSING_SHARE = 0.05
"""Share of samples without an input, or without one of two visits, up to which the fusion may ignore the gaps."""


class VisitTimes(NamedTuple):
    """The gaps between the visits of all subjects, and how much they vary.

    Args:
        gaps: number of known gaps in days between neighboring visits. subjects: number of subjects that have one.
        variation: their coefficient of variation; None where too few are known.
    """

    gaps: int
    subjects: int
    variation: float | None


def plan_visit_fusion(basis: SharedFacts, why: PlanReasons) -> str:
    """Plan how visits are joined: `attention` for many or irregular ones, `difference` for two fixed ones."""
    joined = {name: list_joined_visits(basis.cohort.header, name) for name in basis.pooled}
    longest = max(joined, key=lambda name: len(joined[name]), default="")
    visits = joined.get(longest, [])
    fusion, reason = _choose_visit_fusion(basis, longest, visits)
    others = [name for name, own in joined.items() if own and len(own) < 2]
    if len(visits) > 1 and others:
        reason += (
            f"; {join_first_names(others)} {_verb(others, 'read')} one visit, so that nothing is joined there"
        )
    if len(visits) > 1 and not basis.cohort.header.images:
        reason += (
            "; it joins images only, and there is none: the vectors of tables and slides are concatenated"
        )
    if past := list_history_tasks(basis.cohort.header):
        reason += f"; {join_first_names(past)} {_verb(past, 'read')} at each visit the visits so far (`past`)"
    why["visit_fusion"] = f"{fusion}: {reason}"
    return fusion


def _choose_visit_fusion(basis: SharedFacts, task: str, visits: Sequence[str]) -> tuple[str, str]:
    """Choose the fusion for the task that joins the most visits; return it with its reason."""
    if len(visits) < 2:
        return "concat", "not used: no task joins several visits into one answer per subject"
    read = f"{task} joins {len(visits)} visits"
    times = measure_visit_times(basis, visits)
    if len(visits) > MAX_SLOT_VISITS:
        return "attention", (
            f"{read}, more than {MAX_SLOT_VISITS}; attention reads any number of visits, each with its day"
            f"{_describe_variation(times)}"
        )
    if times.variation is not None and times.variation > MAX_GAP_VARIATION:
        return "attention", (
            f"{read} at irregular days{_describe_variation(times)}, limit {MAX_GAP_VARIATION:g}; attention reads each "
            "visit with its day"
        )
    fixed = _describe_variation(times) or ", for which the table gives too few days to call them irregular"
    if len(visits) > 2:
        return "concat", f"{read} at fixed times{fixed}; each visit has a place of its own"
    lacking, answered = count_incomplete_subjects(basis, visits)
    if lacking > MAX_MISSING_SHARE * answered:
        return "attention", (
            f"{read}, and {lacking} of the {answered} subjects with a known answer "
            f"({format_share_percent(lacking / answered)}) lack one of them: a difference would say nothing of these"
        )
    return "difference", (
        f"{read} at fixed times{fixed}; what changed from {visits[0]} to {visits[1]} is read directly "
        f"({answered - lacking} of the {answered} subjects with a known answer have both)"
    )


def measure_visit_times(basis: SharedFacts, visits: Sequence[str]) -> VisitTimes:
    """Measure how regular the days between neighboring visits are, over the subjects outside the test part.

    Each gap is divided by the mean gap of the same two visits: a schedule of 30 and then 300 days is regular if it is
    the same for everybody. The coefficient of variation is the standard deviation of these ratios (mean 1), with one
    degree of freedom less for each pair of visits.
    """
    gaps: list[list[float]] = [[] for _ in visits[1:]]
    subjects: set[str] = set()
    for sample in basis.samples:
        day = {case.visit: case.day for case in sample.cases}
        for pair, (before, after) in zip(gaps, pairwise(visits), strict=True):
            first, second = day.get(before), day.get(after)
            if first is not None and second is not None:
                pair.append(second - first)
                subjects.add(sample.subject)
    # One gap alone has no spread; a mean of 0 or less comes from days that are wrong, and would divide by nothing.
    pairs = [np.array(pair) for pair in gaps if len(pair) > 1 and sum(pair) > 0]
    free = sum(len(pair) - 1 for pair in pairs)
    enough = sum(map(len, pairs)) >= MIN_MEASURED_GAPS
    squares = sum(float(((pair / pair.mean() - 1) ** 2).sum()) for pair in pairs)
    return VisitTimes(sum(map(len, gaps)), len(subjects), sqrt(squares / free) if enough else None)


def count_incomplete_subjects(basis: SharedFacts, visits: Sequence[str]) -> tuple[int, int]:
    """Count, among the subjects with a known answer of a task that joins these visits, those that lack one of them.

    Returns:
        (subjects that lack a visit, subjects with a known answer)
    """
    header = basis.cohort.header
    tasks = [name for name in basis.pooled if list_joined_visits(header, name) == list(visits)]
    lacking = answered = 0
    for sample in basis.samples:
        if any(pooled_value(basis.cohort, sample.cases, task) is not None for task in tasks):
            answered += 1
            lacking += not {case.visit for case in sample.cases} >= set(visits)
    return lacking, answered


def plan_input_fusion(basis: SharedFacts, why: PlanReasons) -> str:
    """Plan how inputs are joined: `attention` where some are missing, else `concat`."""
    inputs = list(basis.cohort.header.inputs)
    if len(inputs) < 2 or not basis.pooled:
        why["input_fusion"] = "concat: not used: " + (
            "there is only one input" if len(inputs) < 2 else "voxel tasks read their image alone"
        )
        return "concat"
    asked, whom = _list_asked_cases(basis)
    filled = find_filled_inputs(basis.cohort, asked)
    missing = {name: sum(name not in own for own in filled) / max(1, len(filled)) for name in inputs}
    words = ", ".join(
        f"{name} in {format_share_percent(share)}" for name, share in missing.items() if share > 0
    )
    of = f"of {len(asked)} {whom} outside the test part"
    if max(missing.values()) > MAX_MISSING_SHARE:
        why["input_fusion"] = (
            f"attention: inputs have gaps: missing are {words} {of} (limit {format_share_percent(MAX_MISSING_SHARE)}); "
            "each answer weighs the inputs that exist"
        )
        return "attention"
    why["input_fusion"] = (
        f"concat: {f'few inputs are missing ({words} {of})' if words else f'no input is missing in any {of}'}; their "
        "features are joined into one vector"
    )
    return "concat"


def _list_asked_cases(basis: SharedFacts) -> tuple[list[Sequence[Case]], str]:
    """List the cases behind each answer, and what they are: single visits if a visit task is asked at each, else the
    visits of a subject that are read."""
    header = basis.cohort.header
    if any(header.tasks[name].level == "visit" for name in basis.pooled):
        return [(case,) for sample in basis.samples for case in sample.cases], "visits"
    read = set(basis.read_visits)
    groups = [[case for case in sample.cases if case.visit in read] for sample in basis.samples]
    return [cases for cases in groups if cases], "subjects"


def _describe_variation(times: VisitTimes) -> str:
    if times.variation is None:
        return ""
    return (
        f" (coefficient of variation {times.variation:.2f} of {times.gaps} gaps between visits, "
        f"{times.subjects} subjects)"
    )


def _verb(names: Sequence[str], verb: str) -> str:
    return verb if len(names) > 1 else f"{verb}s"
