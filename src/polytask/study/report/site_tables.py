"""Tables of the primary metric of each arm at each site and in each stratum, over folds and seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import isfinite

from polytask.evaluation.evaluation_result import EstimatesByTask, Evaluation
from polytask.evaluation.strata_results import list_strata
from polytask.report.metric_tables import DASH, ReportTable, TableCell, format_number
from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.conclusions.finished_runs import FinishedRun
from polytask.study.report.effect_text import format_metric_with_unit

ReadMetrics = Callable[[Evaluation], EstimatesByTask]
"""Returns the metrics of some of the subjects of an evaluation."""


def list_judged_sites(conclusions: Conclusions) -> list[str]:
    """List the sites with evaluated subjects."""
    runs = [r for by in conclusions.gathered.folds.values() for r in by.values()]
    return sorted({s for r in runs for s in r.evaluated.evaluation.sites if s})


def build_arm_site_tables(conclusions: Conclusions) -> list[ReportTable]:
    """Build one table per task with one row per arm; none with fewer than two sites."""
    sites = list_judged_sites(conclusions)
    readers = {site: partial(read_site_metrics, site=site) for site in sites}
    return _build_arm_tables(conclusions, readers) if len(sites) > 1 else []


def build_arm_strata_tables(conclusions: Conclusions) -> dict[str, list[ReportTable]]:
    """Build the same tables for the strata of each column: column → one table per task."""
    evaluations = [r.evaluated.evaluation for by in conclusions.gathered.folds.values() for r in by.values()]
    tables = {}
    for column in dict.fromkeys(c for e in evaluations for c in e.strata):
        names = list_strata({name: name for e in evaluations for name in e.strata.get(column, {})})
        readers = {name: partial(_read_stratum_metrics, column=column, name=name) for name in names}
        tables[column] = _build_arm_tables(conclusions, readers) if names else []
    return {column: some for column, some in tables.items() if some}


def read_site_metrics(evaluation: Evaluation, site: str) -> EstimatesByTask:
    """Return the metrics at a site; {} where the run judged nobody of it."""
    return evaluation.sites.get(site, {})


def _read_stratum_metrics(evaluation: Evaluation, column: str, name: str) -> EstimatesByTask:
    stratum = evaluation.strata.get(column, {}).get(name)
    return stratum.metrics if stratum else {}


def _build_arm_tables(conclusions: Conclusions, readers: Mapping[str, ReadMetrics]) -> list[ReportTable]:
    """Build one table per task: a row per arm, a column per reader of metrics."""
    tables = []
    for task, task_info in conclusions.asked.items():
        rows = []
        for arm in conclusions.gathered.arms:
            runs = conclusions.gathered.of_arm(arm)
            rows.append(
                (arm, [build_arm_cell(runs, read, task, task_info.metric) for read in readers.values()])
            )
        if any(c.value != DASH for _, cells in rows for c in cells):
            tables.append(
                ReportTable(
                    f"{task_info.title}: {format_metric_with_unit(task_info)}", ["arm", *readers], rows
                )
            )
    return tables


def build_arm_cell(runs: Sequence[FinishedRun], read: ReadMetrics, task: str, metric: str) -> TableCell:
    """Average over the seeds of a fold, then over folds weighted by known items; n is their sum over folds."""
    by_fold: dict[int, list[tuple[float, int]]] = {}
    for finished in runs:
        estimate = read(finished.evaluated.evaluation).get(task, {}).get(metric)
        if estimate is not None and isfinite(estimate.estimate) and estimate.n > 0:
            by_fold.setdefault(finished.run.fold, []).append((estimate.estimate, estimate.n))
    if not by_fold:
        return TableCell(DASH)
    values = [sum(v for v, _ in seeds) / len(seeds) for seeds in by_fold.values()]
    # Runs of different seeds judge the same items, so their counts are averaged and not added.
    counts = [sum(n for _, n in seeds) / len(seeds) for seeds in by_fold.values()]
    value = sum(v * n for v, n in zip(values, counts, strict=True)) / sum(counts)
    return TableCell(format_number(value), n=f"n {sum(counts):.0f}")
