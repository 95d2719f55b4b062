"""Finds what is wrong with a run from its log: `diagnose_run(RUN)`, one file for each problem, and their registry.

`doctor_chart.py` reads the run, `training_curves.py` its log, and `task_ratios.py` compares a task with the others. To
add a problem, write a function from a chart to findings and name it here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from polytask.evaluation.doctor.dead_heads import find_dead_heads
from polytask.evaluation.doctor.doctor_chart import DoctorChart
from polytask.evaluation.doctor.finding import Finding
from polytask.evaluation.doctor.loss_scale import find_scale_problems
from polytask.evaluation.doctor.overfit_tasks import find_overfit_tasks
from polytask.evaluation.doctor.rare_tasks import find_rare_tasks
from polytask.evaluation.doctor.skipped_steps import find_skipped_steps
from polytask.evaluation.doctor.starved_tasks import find_starved_tasks
from polytask.evaluation.doctor.task_conflicts import find_conflicts
from polytask.evaluation.doctor.unlearned_tasks import find_unlearned_tasks
from polytask.evaluation.doctor.unrelated_tasks import find_unrelated_tasks

FINDINGS: dict[str, Callable[[DoctorChart], Iterator[Finding]]] = {
    "skipped": find_skipped_steps,
    "unlearned": find_unlearned_tasks,
    "dead": find_dead_heads,
    "starved": find_starved_tasks,
    "seldom": find_rare_tasks,
    "scale": find_scale_problems,
    "conflict": find_conflicts,
    "strangers": find_unrelated_tasks,
    "overfit": find_overfit_tasks,
}
"""Name → function that finds the problem, in the order of the report: what explains other findings comes first."""


def diagnose_run(run: Path | str | DoctorChart) -> list[Finding]:
    """Find everything that is wrong with a run; an empty list when nothing is, or when its log is too short to tell.

    Raises:
        PolytaskError: not a run, or nothing was logged.
    """
    chart = run if isinstance(run, DoctorChart) else DoctorChart.read(run)
    return [finding for look in FINDINGS.values() for finding in look(chart)]


__all__ = ["FINDINGS", "DoctorChart", "Finding", "diagnose_run"]
