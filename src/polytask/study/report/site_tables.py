"""Tables of the primary metric of each arm at each site, over folds and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from polytask.report.metric_tables import DASH, ReportTable, TableCell, format_number
from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.conclusions.finished_runs import FinishedRun
from polytask.study.report.effect_text import format_metric_with_unit


def list_judged_sites(conclusions: Conclusions) -> list[str]:
    """List the sites with evaluated subjects."""
    runs = [r for by in conclusions.gathered.folds.values() for r in by.values()]
    return sorted({s for r in runs for s in r.evaluated.evaluation.sites if s})


def build_arm_site_tables(conclusions: Conclusions) -> list[ReportTable]:
    """Build one table per task with one row per arm; none with fewer than two sites."""
    sites = list_judged_sites(conclusions)
    if len(sites) < 2:
        return []
    tables = []
    for task, task_info in conclusions.asked.items():
        rows = []
        for arm in conclusions.gathered.arms:
            runs = conclusions.gathered.of_arm(arm)
            rows.append((arm, [build_arm_site_cell(runs, site, task, task_info.metric) for site in sites]))
        if any(c.value != DASH for _, cells in rows for c in cells):
            tables.append(
                ReportTable(f"{task_info.title}: {format_metric_with_unit(task_info)}", ["arm", *sites], rows)
            )
    return tables


def build_arm_site_cell(runs: Sequence[FinishedRun], site: str, task: str, metric: str) -> TableCell:
    """Average over the seeds of a fold, then over folds weighted by known items; n is their sum over folds."""
    by_fold: dict[int, list[tuple[float, int]]] = {}
    for finished in runs:
        estimate = finished.evaluated.evaluation.sites.get(site, {}).get(task, {}).get(metric)
        if estimate is not None and isfinite(estimate.estimate) and estimate.n > 0:
            by_fold.setdefault(finished.run.fold, []).append((estimate.estimate, estimate.n))
    if not by_fold:
        return TableCell(DASH)
    values = [sum(v for v, _ in seeds) / len(seeds) for seeds in by_fold.values()]
    # Runs of different seeds judge the same items, so their counts are averaged and not added.
    counts = [sum(n for _, n in seeds) / len(seeds) for seeds in by_fold.values()]
    value = sum(v * n for v, n in zip(values, counts, strict=True)) / sum(counts)
    return TableCell(format_number(value), n=f"n {sum(counts):.0f}")
