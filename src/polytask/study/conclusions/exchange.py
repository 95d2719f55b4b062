"""Two arms whose answers about a subject can be exchanged, for the permutation test of a metric over subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from polytask.evaluation.answers import Answers, Id, Items
from polytask.evaluation.comparison import Evaluated
from polytask.statistics.effect import Effect
from polytask.statistics.swaps import Exchange
from polytask.study.arms import BASELINE
from polytask.study.conclusions.gather import Gathered
from polytask.tasks.survival import Survival
from polytask.tasks.task import Arrays, PooledTask

RANKED = ("classification", "multilabel", "survival")
"""Kinds whose metric is of the order of scores: ranks within a run stand for them, so that two runs whose scores lie on
different scales can be exchanged."""


def exchanges(found: Gathered, task: str, arm: str, effect: Effect) -> list[Exchange]:
    """By fold, of the folds and seeds that the effect rests on and who all runs there answered, as in the effect; none
    for a voxel task."""
    if task not in next(iter(found.of_arm(arm))).evaluated.answers.pooled:
        return []
    scale = found.asked[task].points * (1 if found.asked[task].higher else -1)
    made = []
    for fold in effect.folds:
        runs = found.folds[fold]
        pairs = [[runs[a, s].evaluated for a in (arm, BASELINE)] for s in effect.seeds]
        everybody = [r.evaluated.answers for r in runs.values() if task in r.evaluated.tasks]
        made.append(exchange(pairs, known_to_all(everybody, task), task, scale))
    return made


def exchange(pairs: Sequence[Sequence[Evaluated]], ids: Sequence[Id], task: str, scale: float) -> Exchange:
    """One fold: arm and baseline of every seed, on these items."""
    names = list(dict.fromkeys(subject for subject, _ in ids))
    who = np.array([names.index(subject) for subject, _ in ids], np.int64)
    judge = cast(PooledTask, pairs[0][0].tasks[task])
    if isinstance(judge, Survival):
        judge = replace(judge, horizons=())  # only C is asked for
    items = [[one.answers.only({task: ids}).pooled[task] for one in pair] for pair in pairs]
    scores = [[ranked(i) if judge.kind in RANKED else dict(i.prediction) for i in pair] for pair in items]
    value, known = items[0][0].value, items[0][0].known

    def metric(mine: Arrays, other: Arrays, turned: npt.NDArray[np.bool_]) -> float:
        side = {key: mixed(mine[key], other[key], turned) for key in mine}
        return judge.metrics(side, value, known).get(judge.primary, float("nan"))

    def difference(swapped: npt.NDArray[np.bool_]) -> float:
        turned = swapped[who]
        return scale * float(np.mean([metric(a, b, turned) - metric(b, a, turned) for a, b in scores]))

    return Exchange(difference, len(names), len(ids))


def known_to_all(answers: Sequence[Answers], task: str) -> list[Id]:
    """Who was answered by everybody, and whose truth is known."""
    everybody = set.intersection(*(set(a.ids(task)) for a in answers))
    ids = [i for i in answers[0].ids(task) if i in everybody]
    items = answers[0].only({task: ids}).pooled[task]
    known = items.known.reshape(len(ids), -1).any(1)
    return [ids[k] for k in np.flatnonzero(known)]


def ranked(items: Items) -> dict[str, npt.NDArray[np.float64]]:
    """Each column's scores as ranks from 0 to 1."""
    return {k: (rankdata(v, axis=0) - 0.5) / max(1, len(v)) for k, v in items.prediction.items()}


def mixed(mine: Any, other: Any, turned: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """`mine` with the other's rows where they are turned."""
    mine, other = np.asarray(mine), np.asarray(other)
    return np.asarray(np.where(turned.reshape(-1, *[1] * (mine.ndim - 1)), other, mine))
