"""All metrics of a part, each with its interval and with the influence of every subject on it."""

from __future__ import annotations

import numpy as np

from polytask.evaluation.by_kind import POOLED, measure_cases, measure_skill
from polytask.evaluation.leave_out import measure_by_leaving_out
from polytask.evaluation.measured import Measured, average, undefined
from polytask.evaluation.measures import Measures
from polytask.evaluation.statistic import SKILL, Statistic, is_metric
from polytask.statistics.draws import Indices


def measure_part(statistic: Statistic, resamples: int = 1000, seed: int = 0) -> dict[str, Measured]:
    """Measure every task: `TASK/METRIC`, `TASK/skill`, and `/skill`, the mean over `statistic.skilled`."""
    found: dict[str, Measured] = {}
    for name in statistic.tasks:
        mine = measure_task(statistic, name, resamples, seed)
        found |= {f"{name}/{metric}": measured for metric, measured in mine.items()}
    skills = [found[f"{name}/{SKILL}"] for name in statistic.skilled]
    return found | {f"/{SKILL}": average(skills, len(statistic.subjects))}


def measure_task(
    statistic: Statistic, name: str, resamples: int = 1000, seed: int = 0
) -> dict[str, Measured]:
    """Measure the metrics of one task and its `skill`."""
    task, subjects = statistic.tasks[name], len(statistic.subjects)
    everybody = np.arange(subjects, dtype=np.int64)
    places = statistic.places[name]
    index = statistic.items(name, everybody)
    owner = np.repeat(everybody, [len(p) for p in places])
    of = Measures(subjects, owner, resamples, seed)
    found: dict[str, Measured] = {}
    if name in statistic.tables:
        table = statistic.tables[name]
        found = measure_cases(table.names, table.values[index], of)
    elif index.size and task.kind in POOLED:
        found = POOLED[task.kind](task, statistic.answers.pooled[name].take(index), of)
    whole = statistic.whole[name]
    wanted = [metric for metric in whole if is_metric(metric)]
    found.setdefault(SKILL, measure_skill(task, found, subjects))
    # A plugin may compute a metric differently, or have metrics that are not known here: those are measured by the
    # jackknife, so that the interval is always that of the value which is printed.
    strange = [m for m in wanted if m not in found or not _agree(found[m].estimate, whole[m])]
    if strange and index.size:
        known: Indices = np.flatnonzero([len(p) > 0 for p in places]).astype(np.int64)
        found |= measure_by_leaving_out(
            lambda drawn: statistic.task(name, drawn), strange, known, subjects, resamples, seed
        )
    return {metric: found.get(metric, undefined(subjects)) for metric in wanted}


def _agree(first: float, second: float) -> bool:
    """Whether two ways of computing a metric give the same value."""
    return bool(np.isclose(first, second, rtol=1e-9, atol=1e-9, equal_nan=True))
