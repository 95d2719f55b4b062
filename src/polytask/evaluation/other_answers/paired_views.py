"""Pairs other people's answers with ours on common cases, in the form that each metric reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats
from polytask.evaluation.other_answers.answer_cells import OtherPooledAnswers
from polytask.evaluation.part_answers import CaseMetrics, PartAnswers
from polytask.evaluation.part_statistic import is_metric
from polytask.inference.pooled_answers import CaseId, PooledAnswers
from polytask.kinds import find_answer_form
from polytask.tasks.task import Arrays, Task

RANKING_METRICS = ("auc",)
"""Metrics that need probabilities; a class alone is not enough for them."""


@dataclass(frozen=True)
class PairedView:
    """Answers of both sides to the same cases, for some of the metrics.

    Args:
        includes_metric: function that tells whether a metric is judged on this view.
        ours, theirs: items or cases with the same ids in the same order.
    """

    includes_metric: Callable[[str], bool]
    ours: PooledAnswers | CaseMetrics
    theirs: PooledAnswers | CaseMetrics


def list_pooled_views(task: Task, ours: PooledAnswers, given: OtherPooledAnswers) -> list[PairedView]:
    """List the views of a visit or subject task; none when no case is answered by both."""
    forms: dict[str, Callable[[PooledAnswers, OtherPooledAnswers], list[PairedView]]] = {
        "number": _view_numbers,
        "time": lambda o, g: _view_risks(task, o, g),
        "labels": _view_labels,
    }
    return [v for v in forms.get(find_answer_form(task.kind), _view_classes)(ours, given) if len(v.ours.ids)]


def list_voxel_views(ours: CaseMetrics, theirs: CaseMetrics) -> list[PairedView]:
    """List the view of a voxel task: all its metrics, on the cases that both answered."""
    place = {who: k for k, who in enumerate(ours.ids)}
    ids = tuple(who for who in theirs.ids if who in place)
    mine = CaseMetrics(ids, tuple(ours.metrics[place[who]] for who in ids))
    return [PairedView(has_better_end, mine, theirs)] if ids else []


def _select_common_items(
    ours: PooledAnswers, given: OtherPooledAnswers, answered: npt.NDArray[np.bool_]
) -> tuple[PooledAnswers, npt.NDArray[np.int64]]:
    """Select the cases that both answered: (our items, positions of the same cases in the table), in our order.

    Args:
        answered: `[N]`, whether each item of the table has an answer.
    """
    pairs = [(k, given.places[who]) for k, who in enumerate(ours.ids) if who in given.places]
    pairs = [(k, j) for k, j in pairs if answered[j]]
    mine, theirs = (np.array([p[i] for p in pairs], np.int64) for i in (0, 1))
    return ours.take(mine), theirs


def _replace_prediction(
    items: PooledAnswers, prediction: Arrays, known: npt.NDArray[np.bool_] | None = None
) -> PooledAnswers:
    return PooledAnswers(items.ids, prediction, items.value, items.known if known is None else known)


def _view_numbers(ours: PooledAnswers, given: OtherPooledAnswers) -> list[PairedView]:
    assert given.value is not None
    mine, at = _select_common_items(ours, given, np.isfinite(given.value))
    return [PairedView(has_better_end, mine, _replace_prediction(mine, {"value": given.value[at]}))]


def _view_classes(ours: PooledAnswers, given: OtherPooledAnswers) -> list[PairedView]:
    """List the views of a classification: the AUC from probabilities, all else from the named class where there is
    one."""
    views = []
    called = given.called if given.called is not None else given.p
    assert called is not None
    if given.p is not None:
        # Two views, because some rows may have only probabilities or only a class: each metric keeps all cases it can
        # use.
        mine, at = _select_common_items(ours, given, np.asarray(np.isfinite(given.p).all(1), bool))
        views.append(PairedView(_needs_probabilities, mine, _replace_prediction(mine, {"p": given.p[at]})))
        called = np.where(np.isfinite(called), called, given.p)
    mine, at = _select_common_items(ours, given, np.asarray(np.isfinite(called).all(1), bool))
    views.append(PairedView(_needs_named_class, mine, _replace_prediction(mine, {"p": called[at]})))
    return views


def _view_labels(ours: PooledAnswers, given: OtherPooledAnswers) -> list[PairedView]:
    """List the views of a multilabel task like those of classes; a label without an answer is left out on both
    sides."""
    views = []
    called = given.called if given.called is not None else given.p
    assert called is not None
    sources: list[tuple[Callable[[str], bool], Floats]] = []
    if given.p is not None:
        sources.append((_needs_probabilities, given.p))
        called = np.where(np.isfinite(called), called, given.p)
    for wants, p in [*sources, (_needs_named_class, called)]:
        mine, at = _select_common_items(ours, given, np.asarray(np.isfinite(p).any(1), bool))
        known = mine.known & np.isfinite(p[at])
        # Labels without an answer are set to 0 here, but marked as unknown, so that they count in no metric.
        theirs = _replace_prediction(mine, {"p": np.nan_to_num(p[at])}, known)
        views.append(PairedView(wants, _replace_prediction(mine, mine.prediction, known), theirs))
    return views


def _view_risks(task: Task, ours: PooledAnswers, given: OtherPooledAnswers) -> list[PairedView]:
    """List the views of a survival task: C from the risks (of a Cox model also the AUC at the horizons), Brier score
    and AUC of a horizon from its probabilities."""
    views: list[PairedView] = []
    horizons = [f"T{t:g}" for t in getattr(task, "horizons", ())]
    shape = (len(given.ids), len(horizons))
    p = given.p if given.p is not None else np.full(shape, np.nan)
    by_risk = getattr(task, "loss", "") == "cox"
    if given.risk is not None:
        mine, at = _select_common_items(ours, given, np.isfinite(given.risk))
        theirs = _replace_prediction(mine, {"risk": given.risk[at], "p": p[at]})
        wants = (lambda m: m == "c" or m.startswith("auc.")) if by_risk else (lambda m: m == "c")
        views.append(PairedView(wants, mine, theirs))
    for h, name in enumerate(horizons):
        mine, at = _select_common_items(ours, given, np.isfinite(p[:, h]))
        if not at.size:
            continue
        # Where no risk is given the probability at the horizon orders the cases there.
        metrics = (
            (f"brier.{name}",) if given.risk is not None and by_risk else (f"brier.{name}", f"auc.{name}")
        )
        theirs = _replace_prediction(mine, {"risk": p[at, h], "p": p[at]})
        views.append(PairedView(metrics.__contains__, mine, theirs))
    return views


def has_better_end(metric: str) -> bool:
    """Whether higher or lower values of a metric are better. Volume errors and single dose statistics have a sign, so
    values near 0 are best and no difference is judged."""
    base, _, rest = metric.partition(".")
    return is_metric(metric) and base not in ("skill", "volume_error") and not (base == "dvh" and rest)


def _needs_probabilities(metric: str) -> bool:
    return metric.partition(".")[0] in RANKING_METRICS


def _needs_named_class(metric: str) -> bool:
    return has_better_end(metric) and not _needs_probabilities(metric)


def wrap_view_side(name: str, side: PooledAnswers | CaseMetrics, sites: Mapping[str, str]) -> PartAnswers:
    """Wrap one side as `PartAnswers` whose subjects are those of its items."""
    subjects = dict.fromkeys(who[0] for who in side.ids)
    own = {s: sites.get(s, "") for s in subjects}
    if isinstance(side, PooledAnswers):
        return PartAnswers(own, {name: side}, {}, {name: 0})
    return PartAnswers(own, {}, {name: side}, {name: 0})


def list_judged_ids(views: list[PairedView]) -> set[CaseId]:
    """List the ids that are judged in any of the views."""
    return {who for view in views for who in view.ours.ids}
