"""The primary metric of evaluated runs as functions of drawn subjects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from polytask.errors import PolytaskError
from polytask.statistics.draws import Indices
from polytask.statistics.values import CaseMean, FoldValues, Key, Metric, fold_values

if TYPE_CHECKING:
    from polytask.evaluation.statistic import Statistic


def from_statistics(
    fold: int, task: str, runs: Mapping[Key, Statistic], resamples: int = 1000, seed: int = 0
) -> FoldValues | None:
    """A fold's values of a task's primary metric, on the subjects about whom every run answered something known.

    None when there is no such subject. All statistics must be made with the same list of subjects.
    """
    statistics = list(runs.values())
    if any(s.subjects != statistics[0].subjects for s in statistics):
        raise PolytaskError(
            f"fold {fold}: runs judged on different subjects; evaluate them on the same part, and make "
            "each statistic with the same list"
        )
    who = [i for i in range(len(statistics[0].subjects)) if all(known(s, task, i) for s in statistics)]
    if not who:
        return None
    places = np.array(who, np.int64)
    n = min(sum(known(s, task, i) for i in who) for s in statistics)
    metrics = {key: metric_of(s, task, places) for key, s in runs.items()}
    return fold_values(fold, metrics, len(who), n, resamples, seed)


def known(statistic: Statistic, task: str, subject: int) -> int:
    """Items of a subject (by position) with a known truth; for a voxel task, with a primary metric."""
    index = statistic.places[task][subject]
    if task in statistic.tables:
        table = statistic.tables[task]
        return int(table.there[index, table.names.index(statistic.tasks[task].primary)].sum())
    flags = statistic.answers.pooled[task].known[index]
    return int(flags.reshape(len(index), -1).any(axis=1).sum())


def metric_of(statistic: Statistic, task: str, who: Indices) -> Metric | CaseMean:
    """The primary metric of drawn positions in `who`, which are positions of the statistic's subjects."""
    primary = statistic.tasks[task].primary
    if task not in statistic.tables:
        return lambda drawn: float(statistic.task(task, who[drawn])[primary])
    table = statistic.tables[task]
    column = table.values[:, table.names.index(primary)]
    places = [statistic.places[task][i] for i in who]
    subject = np.repeat(np.arange(len(who)), [len(p) for p in places])
    return CaseMean.of(column[np.concatenate(places)], subject, len(who))
