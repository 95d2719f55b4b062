"""Tables of the primary metric of each arm at each site, over folds and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from polytask.report.tables import DASH, Cell, Table, number
from polytask.study.conclusions.gather import Finished
from polytask.study.conclusions.make import Conclusions
from polytask.study.report.amounts import metric_of


def sites_of(found: Conclusions) -> list[str]:
    """List the sites with evaluated subjects."""
    runs = [r for by in found.gathered.folds.values() for r in by.values()]
    return sorted({s for r in runs for s in r.evaluated.evaluation.sites if s})


def tables(found: Conclusions) -> list[Table]:
    """Build one table per task with one row per arm; none with fewer than two sites."""
    named = sites_of(found)
    if len(named) < 2:
        return []
    made = []
    for task, asked in found.asked.items():
        rows = []
        for arm in found.gathered.arms:
            runs = found.gathered.of_arm(arm)
            rows.append((arm, [cell(runs, site, task, asked.metric) for site in named]))
        if any(c.value != DASH for _, cells in rows for c in cells):
            made.append(Table(f"{asked.title}: {metric_of(asked)}", ["arm", *named], rows))
    return made


def cell(runs: Sequence[Finished], site: str, task: str, metric: str) -> Cell:
    """Average over the seeds of a fold, then over folds weighted by known items; n is their sum over folds."""
    by_fold: dict[int, list[tuple[float, int]]] = {}
    for one in runs:
        e = one.evaluated.evaluation.sites.get(site, {}).get(task, {}).get(metric)
        if e is not None and isfinite(e.estimate) and e.n > 0:
            by_fold.setdefault(one.run.fold, []).append((e.estimate, e.n))
    if not by_fold:
        return Cell(DASH)
    values = [sum(v for v, _ in seeds) / len(seeds) for seeds in by_fold.values()]
    # Runs of different seeds judge the same items, so their counts are averaged and not added.
    counts = [sum(n for _, n in seeds) / len(seeds) for seeds in by_fold.values()]
    value = sum(v * n for v, n in zip(values, counts, strict=True)) / sum(counts)
    return Cell(number(value), n=f"n {sum(counts):.0f}")
