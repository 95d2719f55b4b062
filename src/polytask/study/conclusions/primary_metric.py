"""The primary metric of evaluated runs, and the contribution of each subject to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats, Indices
from polytask.errors import PolytaskError
from polytask.kinds import find_answer_form
from polytask.kinds.ordinal import find_median_grades
from polytask.statistics.drawn_metrics import (
    compute_drawn_areas,
    compute_drawn_concordances,
    compute_drawn_kappas,
    compute_drawn_r2s,
    count_drawn_cases,
)
from polytask.statistics.influence import (
    MetricShares,
    average_shares,
    find_auc_shares,
    find_concordance_shares,
    find_kappa_shares,
    find_r2_shares,
)
from polytask.statistics.metric_values import Contributions, FoldValues, RunKey, make_fold_values

if TYPE_CHECKING:
    from polytask.evaluation.part_statistic import PartStatistic
    from polytask.inference.pooled_answers import PooledAnswers
    from polytask.tasks.task import Task

RARER_CLASS_CASES = "cases of the rarer class"
EVENT_COUNT = "events"


def collect_fold_values(fold: int, task: str, runs: Mapping[RunKey, PartStatistic]) -> FoldValues | None:
    """Collect the values of a task's primary metric in one fold, on the subjects with a known answer in every run.

    Returns None when there is no such subject. All statistics must be made with the same list of subjects.
    """
    statistics = list(runs.values())
    first = statistics[0]
    if any(s.subjects != first.subjects for s in statistics):
        raise PolytaskError(
            f"fold {fold}: runs judged on different subjects; evaluate them on the same part, and make "
            "each statistic with the same list"
        )
    who = [i for i in range(len(first.subjects)) if all(count_known_items(s, task, i) for s in statistics)]
    if not who:
        return None
    places = np.array(who, np.int64)
    # Runs may know different numbers of visits of the same subjects; the smallest number makes no claim too large.
    n = min(sum(count_known_items(s, task, i) for i in who) for s in statistics)
    metrics = {key: compute_contributions(s, task, places) for key, s in runs.items()}
    return make_fold_values(
        fold, metrics, [first.subjects[i] for i in who], n, count_rare_cases(first, task, places)
    )


def count_known_items(statistic: PartStatistic, task: str, subject: int) -> int:
    """Count the items of a subject (given by its position) with a known truth; for a voxel task, with a metric."""
    index = statistic.places[task][subject]
    if task in statistic.tables:
        table = statistic.tables[task]
        return int(table.is_defined[index, table.names.index(statistic.tasks[task].primary)].sum())
    flags = statistic.answers.pooled[task].known[index]
    return int(flags.reshape(len(index), -1).any(axis=1).sum())


def compute_contributions(
    statistic: PartStatistic, task: str, who: Indices
) -> Contributions | Callable[[Indices], float]:
    """Compute the primary metric on the subjects `who` (positions in the statistic) and each subject's contribution.

    Where no closed form of the contributions is known, the metric itself is returned as a function, so that subjects
    can be left out one by one (the jackknife).
    """
    judge = statistic.tasks[task]
    places = [statistic.places[task][i] for i in who]
    subject = np.repeat(np.arange(len(who)), [len(p) for p in places])
    index = np.concatenate(places)
    if task in statistic.tables:
        table = statistic.tables[task]
        column = table.values[:, table.names.index(judge.primary)]
        return Contributions.of(column[index], subject, len(who))
    items = statistic.answers.pooled[task]
    known = items.known[index].reshape(len(index), -1).any(axis=1)
    shares = compute_primary_shares(judge, items, index[known])
    if shares is None:
        return lambda drawn: float(statistic.task(task, who[drawn])[judge.primary])
    estimate, by_case = shares
    # A subject contributes the sum over its items: several visits are one piece of evidence.
    contributions = Contributions(estimate, np.bincount(subject[known], by_case, len(who)).astype(np.float64))

    def draw_metric(counts: Floats) -> Floats:
        return compute_drawn_metrics(judge, items, index[known], count_drawn_cases(counts, subject[known]))

    return contributions.with_drawn_together(draw_metric)


def compute_primary_shares(judge: Task, items: PooledAnswers, index: Indices) -> MetricShares | None:
    """Return the primary metric of some items and the contribution of each; None where no closed form is known."""
    value, known = items.value[index], items.known[index]
    answer = {k: np.asarray(v)[index] for k, v in items.prediction.items()}
    formula = find_answer_form(judge.kind), judge.primary
    if formula == ("class", "auc"):
        return average_shares(
            [find_auc_shares(answer["p"][:, k], value == k) for k in _list_judged_classes(judge)]
        )
    if formula == ("labels", "auc"):
        return _find_label_auc_shares(answer["p"], value, known)
    if formula == ("time", "c"):
        times, events = np.asarray(value, np.float64).reshape(-1, 2).T
        return find_concordance_shares(answer["risk"], times, events)
    if formula == ("grade", "kappa"):
        return find_kappa_shares(value, find_median_grades(answer["p"]))
    if formula == ("number", "r2"):
        return find_r2_shares(np.asarray(value).reshape(len(index)), answer["value"])
    return None


def compute_drawn_metrics(judge: Task, items: PooledAnswers, index: Indices, counts: Floats) -> Floats:
    """Compute the primary metric of some items on resamples, from how often each resample holds each of them,
    `counts [resamples, len(index)]`: the metrics of `compute_primary_shares`, without the contributions."""
    value, known = items.value[index], items.known[index]
    answer = {k: np.asarray(v)[index] for k, v in items.prediction.items()}
    form = find_answer_form(judge.kind)
    if form == "class":
        areas = [
            compute_drawn_areas(answer["p"][:, k], value == k, counts) for k in _list_judged_classes(judge)
        ]
        return np.asarray(np.mean(areas, axis=0), np.float64)
    if form == "labels":
        areas = [
            compute_drawn_areas(answer["p"][seen, k], value[seen, k] > 0.5, counts[:, seen])
            for k, seen in enumerate(known.T)
        ]
        return _average_defined(np.stack(areas))
    if form == "time":
        times, events = np.asarray(value, np.float64).reshape(-1, 2).T
        return compute_drawn_concordances(answer["risk"], times, events, counts)
    if form == "grade":
        return compute_drawn_kappas(value, find_median_grades(answer["p"]), counts)
    return compute_drawn_r2s(np.asarray(value).reshape(len(index)), answer["value"], counts)


def _list_judged_classes(judge: Task) -> list[int]:
    """List the classes whose areas are averaged; of two classes the second alone, because both have the same area."""
    return [1] if judge.outputs == 2 else list(range(judge.outputs))


def _find_label_auc_shares(p: Floats, value: Floats, known: npt.NDArray[np.bool_]) -> MetricShares | None:
    """Return the mean AUC over labels and the contribution of each item; all arrays are `[items, labels]`."""
    label_shares = []
    for label in range(p.shape[1]):
        is_known = known[:, label]
        area, shares = find_auc_shares(p[is_known, label], value[is_known, label] > 0.5)
        # A label with one value only has no AUC and takes no part in the mean over labels.
        if np.isfinite(area):
            item_shares = np.zeros(len(p))
            item_shares[is_known] = shares
            label_shares.append((area, item_shares))
    return average_shares(label_shares) if label_shares else None


def _average_defined(areas: Floats) -> Floats:
    """Average `[labels, resamples]` over the labels that are defined on a resample; NaN where none is."""
    is_defined = np.isfinite(areas)
    count = is_defined.sum(0)
    return np.where(count > 0, np.where(is_defined, areas, 0.0).sum(0) / np.maximum(count, 1), np.nan)


def count_rare_cases(statistic: PartStatistic, task: str, who: Indices) -> dict[str, int]:
    """Count what limits a metric over subjects more than the number of cases: the rarer class, or events."""
    judge = statistic.tasks[task]
    if task in statistic.tables:
        return {}
    index = statistic.items(task, who)
    items = statistic.answers.pooled[task]
    value, known = items.value[index], items.known[index]
    form = find_answer_form(judge.kind)
    if form == "time":
        is_known = known.reshape(len(index), -1).any(1)
        return {EVENT_COUNT: int((np.asarray(value, np.float64).reshape(-1, 2)[is_known, 1] > 0).sum())}
    if form == "class":
        sizes = np.bincount(value[known].astype(np.int64), minlength=judge.outputs)
        return {RARER_CLASS_CASES: int(sizes.min())}
    if form == "labels":
        present = ((value > 0.5) & known).sum(0)
        rarer = np.minimum(present, known.sum(0) - present)
        # A label that is always or never present has no AUC, so it does not limit the others.
        return {RARER_CLASS_CASES: int(rarer[rarer > 0].min(initial=len(index)))}
    return {}
