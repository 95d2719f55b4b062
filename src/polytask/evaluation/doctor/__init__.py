"""Finds what is wrong with a run from its log: `diagnose(RUN)`, one file for each problem, and their registry.

`doctor_chart.py` reads the run, `training_curves.py` its log, and `task_ratios.py` compares a task with the others. To
add a problem, write a function from a chart to findings and name it here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from polytask.evaluation.doctor.chart import Chart
from polytask.evaluation.doctor.conflict import conflict
from polytask.evaluation.doctor.dead import dead
from polytask.evaluation.doctor.finding import Finding
from polytask.evaluation.doctor.overfit import overfit
from polytask.evaluation.doctor.scale import scale
from polytask.evaluation.doctor.seldom import seldom
from polytask.evaluation.doctor.skipped import skipped
from polytask.evaluation.doctor.starved import starved
from polytask.evaluation.doctor.strangers import strangers
from polytask.evaluation.doctor.unlearned import unlearned

FINDINGS: dict[str, Callable[[Chart], Iterator[Finding]]] = {
    "skipped": skipped,
    "unlearned": unlearned,
    "dead": dead,
    "starved": starved,
    "seldom": seldom,
    "scale": scale,
    "conflict": conflict,
    "strangers": strangers,
    "overfit": overfit,
}
"""Name → function that finds the problem, in the order of the report: what explains other findings comes first."""


def diagnose(run: Path | str | Chart) -> list[Finding]:
    """Find everything that is wrong with a run; an empty list when it is well, or when its log is too short to say.

    Raises:
        PolytaskError: not a run, or nothing was logged.
    """
    chart = run if isinstance(run, Chart) else Chart.read(run)
    return [finding for look in FINDINGS.values() for finding in look(chart)]


__all__ = ["FINDINGS", "Chart", "Finding", "diagnose"]
