"""Says in words what a table of promises does not: what the numbers mean, where nothing is promised and why."""

from __future__ import annotations

from collections.abc import Iterator

from polytask.trust.fit_runs import RunsTrust
from polytask.trust.fit_task import CHECK_SPLITS, TaskTrust
from polytask.trust.group_coverage import list_group_remarks
from polytask.trust.measures.refer import ReferRule
from polytask.trust.measures.task_measures import TaskMeasures
from polytask.trust.spread_scale import describe_spread_scale
from polytask.trust.survival.survival_remarks import list_survival_remarks
from polytask.trust.voxels.voxel_remarks import list_voxel_remarks


def list_trust_remarks(fitted: RunsTrust) -> list[str]:
    """List what a reader needs to understand the table."""
    remarks = [
        "held: share of the sets with the truth among subjects that fitted nothing (mean ± standard deviation over "
        f"{CHECK_SPLITS} halves)"
    ]
    for name, members in fitted.tasks.items():
        remarks += list_task_remarks(fitted, name, members)
        if name in fitted.measures:
            remarks += list_refer_remarks(name, fitted.words[name], fitted.measures[name])
    remarks += [
        f"{name}: on the cases to which it applies only: {given}" for name, given in fitted.given.items()
    ]
    remarks += list_group_remarks(fitted)
    remarks += list_voxel_remarks(fitted.voxels, 1 - fitted.level)
    for name, survival in fitted.survival.items():
        remarks += list_survival_remarks(name, survival, fitted.level)
    return remarks + [f"{name}: {why}" for name, why in fitted.without.items()]


def list_task_remarks(fitted: RunsTrust, name: str, members: tuple[TaskTrust, ...]) -> Iterator[str]:
    """Say of which answers too few are known, why an answer is not calibrated, and what is proved for all folds."""
    needed = members[0].needed
    for stratum in sorted({s for own in members for s in own.scores}):
        count = sum(len(own.scores.get(stratum, ())) for own in members)
        if count < needed:
            what = f"{name}, {describe_stratum(stratum, fitted.words[name])}" if stratum else name
            yield f"{what}: {count} known answers, the level needs {needed}: it says nothing there"
    for own in members:
        if own.spread is not None:
            yield f"{name}: {describe_spread_scale(own.spread)}"
        if own.refused:
            yield f"{name}: not calibrated: {own.refused}"
    if len(members) > 1:
        yield (
            f"{name}: for {len(members)} folds together at least {fitted.find_worst_case(name):.0%} is proved; "
            "the column shows single members"
        )


def describe_errors(own: TaskTrust) -> str:
    """Describe the calibration error of a member before and after, or that calibrating was refused."""
    if own.check is None or own.check.errors is None:
        return "–"
    (before, _), (after, _) = own.check.errors
    return f"{before:.3f}, raw" if own.calibrator is None else f"{before:.3f} → {after:.3f}"


def describe_answering(measures: TaskMeasures | None) -> tuple[str, str]:
    """Describe the error of all answers and the area under the generalized risk–coverage curve, means over labels."""
    if measures is None or not measures.answering:
        return "–", "–"
    asked = measures.answering.values()
    error, area = sum(a.error for a in asked) / len(asked), sum(a.augrc for a in asked) / len(asked)
    return f"{error:.3g}", f"{area:.3g}"


def list_refer_remarks(name: str, words: tuple[str, ...], measures: TaskMeasures) -> Iterator[str]:
    """Say which share is answered at the stated error, how wrong it was on others, or why there is no threshold."""
    for label, own in measures.answering.items():
        rule, what = own.refer, f"{name}, {words[int(label)]}" if label else name
        if rule is None:
            continue
        if rule.refused:
            yield f"{what}: no threshold for an error of {rule.target:g}, every case is referred: {rule.refused}"
            continue
        share, error = rule.answered[0], rule.error[0]
        yield (
            f"{what}: {describe_threshold(rule)} is answered: {share:.0%} of other subjects, with an error of "
            f"{error:.3g} (asked: {rule.target:g}; n {own.n}); the rest is referred"
        )


def describe_threshold(rule: ReferRule) -> str:
    """Describe which answers are given: by their probability, of numbers (whose confidence is negative) by the spread
    that is expected."""
    at = rule.threshold or 0.0
    return (
        f"what has a probability of {at:.3g} or more" if at > 0 else f"what has a spread of {-at:.3g} or less"
    )


def describe_stratum(stratum: str, words: tuple[str, ...]) -> str:
    """Describe a stratum by the word of its class or label."""
    place, sign, answer = stratum.partition("=")
    return f"{words[int(place)]}{sign}{answer}"
