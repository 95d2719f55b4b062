"""Pairs other people's answers with ours on common cases, in the form that each metric reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask.evaluation.answers import Answers, Cases, Id, Items
from polytask.evaluation.given.cells import GivenItems
from polytask.evaluation.statistic import is_metric
from polytask.kinds import answer_form
from polytask.tasks.task import Arrays, Task

Floats = npt.NDArray[np.float64]
RANKED = ("auc",)
"""Metrics that need probabilities; a class alone is not enough for them."""


@dataclass(frozen=True)
class View:
    """Answers of both sides to the same cases, for some of the metrics.

    Args:
        wants: function that tells whether a metric is judged on this view.
        ours, theirs: items or cases with the same ids in the same order.
    """

    wants: Callable[[str], bool]
    ours: Items | Cases
    theirs: Items | Cases


def pooled_views(task: Task, ours: Items, given: GivenItems) -> list[View]:
    """List the views of a visit or subject task; none when no case is answered by both."""
    forms: dict[str, Callable[[Items, GivenItems], list[View]]] = {
        "number": _values,
        "time": lambda o, g: _risks(task, o, g),
        "labels": _labels,
    }
    return [v for v in forms.get(answer_form(task.kind), _classes)(ours, given) if len(v.ours.ids)]


def voxel_views(ours: Cases, theirs: Cases) -> list[View]:
    """List the view of a voxel task: all its metrics, on the cases that both answered."""
    place = {who: k for k, who in enumerate(ours.ids)}
    ids = tuple(who for who in theirs.ids if who in place)
    mine = Cases(ids, tuple(ours.metrics[place[who]] for who in ids))
    return [View(is_judged, mine, theirs)] if ids else []


def _both(
    ours: Items, given: GivenItems, answered: npt.NDArray[np.bool_]
) -> tuple[Items, npt.NDArray[np.int64]]:
    """Select the cases that both answered: (our items, positions of the same cases in the table), in our order.

    Args:
        answered: `[N]`, whether each item of the table has an answer.
    """
    pairs = [(k, given.places[who]) for k, who in enumerate(ours.ids) if who in given.places]
    pairs = [(k, j) for k, j in pairs if answered[j]]
    mine, theirs = (np.array([p[i] for p in pairs], np.int64) for i in (0, 1))
    return ours.take(mine), theirs


def _with(items: Items, prediction: Arrays, known: npt.NDArray[np.bool_] | None = None) -> Items:
    return Items(items.ids, prediction, items.value, items.known if known is None else known)


def _values(ours: Items, given: GivenItems) -> list[View]:
    assert given.value is not None
    mine, at = _both(ours, given, np.isfinite(given.value))
    return [View(is_judged, mine, _with(mine, {"value": given.value[at]}))]


def _classes(ours: Items, given: GivenItems) -> list[View]:
    """List the views of a classification: the AUC from probabilities, all else from the named class where there is
    one."""
    views = []
    called = given.called if given.called is not None else given.p
    assert called is not None
    if given.p is not None:
        # Two views, because some rows may have only probabilities or only a class: each metric keeps all cases it can
        # use.
        mine, at = _both(ours, given, np.asarray(np.isfinite(given.p).all(1), bool))
        views.append(View(_ranked, mine, _with(mine, {"p": given.p[at]})))
        called = np.where(np.isfinite(called), called, given.p)
    mine, at = _both(ours, given, np.asarray(np.isfinite(called).all(1), bool))
    views.append(View(_not_ranked, mine, _with(mine, {"p": called[at]})))
    return views


def _labels(ours: Items, given: GivenItems) -> list[View]:
    """List the views of a multilabel task like those of classes; a label without an answer is left out on both
    sides."""
    views = []
    called = given.called if given.called is not None else given.p
    assert called is not None
    sources: list[tuple[Callable[[str], bool], Floats]] = []
    if given.p is not None:
        sources.append((_ranked, given.p))
        called = np.where(np.isfinite(called), called, given.p)
    for wants, p in [*sources, (_not_ranked, called)]:
        mine, at = _both(ours, given, np.asarray(np.isfinite(p).any(1), bool))
        known = mine.known & np.isfinite(p[at])
        # Labels without an answer are set to 0 here, but marked as unknown, so that they count in no metric.
        theirs = _with(mine, {"p": np.nan_to_num(p[at])}, known)
        views.append(View(wants, _with(mine, mine.prediction, known), theirs))
    return views


def _risks(task: Task, ours: Items, given: GivenItems) -> list[View]:
    """List the views of a survival task: C from the risks (of a Cox model also the AUC at the horizons), Brier score
    and AUC of a horizon from its probabilities."""
    views: list[View] = []
    horizons = [f"T{t:g}" for t in getattr(task, "horizons", ())]
    shape = (len(given.ids), len(horizons))
    p = given.p if given.p is not None else np.full(shape, np.nan)
    by_risk = getattr(task, "loss", "") == "cox"
    if given.risk is not None:
        mine, at = _both(ours, given, np.isfinite(given.risk))
        theirs = _with(mine, {"risk": given.risk[at], "p": p[at]})
        wants = (lambda m: m == "c" or m.startswith("auc.")) if by_risk else (lambda m: m == "c")
        views.append(View(wants, mine, theirs))
    for h, name in enumerate(horizons):
        mine, at = _both(ours, given, np.isfinite(p[:, h]))
        if not at.size:
            continue
        # Where no risk is given the probability at the horizon orders the cases there.
        metrics = (
            (f"brier.{name}",) if given.risk is not None and by_risk else (f"brier.{name}", f"auc.{name}")
        )
        theirs = _with(mine, {"risk": p[at, h], "p": p[at]})
        views.append(View(metrics.__contains__, mine, theirs))
    return views


def is_judged(metric: str) -> bool:
    """Whether higher or lower values of a metric are better. Volume errors and single dose statistics have a sign, so
    values near 0 are best and no difference is judged."""
    base, _, rest = metric.partition(".")
    return is_metric(metric) and base not in ("skill", "volume_error") and not (base == "dvh" and rest)


def _ranked(metric: str) -> bool:
    return metric.partition(".")[0] in RANKED


def _not_ranked(metric: str) -> bool:
    return is_judged(metric) and not _ranked(metric)


def answers_of(name: str, side: Items | Cases, sites: Mapping[str, str]) -> Answers:
    """Wrap one side as `PartAnswers` whose subjects are those of its items."""
    subjects = dict.fromkeys(who[0] for who in side.ids)
    own = {s: sites.get(s, "") for s in subjects}
    if isinstance(side, Items):
        return Answers(own, {name: side}, {}, {name: 0})
    return Answers(own, {}, {name: side}, {name: 0})


def ids_of(views: list[View]) -> set[Id]:
    """List the ids that are judged in any of the views."""
    return {who for view in views for who in view.ours.ids}
