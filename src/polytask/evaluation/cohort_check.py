"""Tells whether the cohort is still the one that a run was evaluated on."""

from __future__ import annotations

from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.plan.plan_schema import Plan
from polytask.training.folder import Run


def ensure_cohort_unchanged(run: Run) -> None:
    """Refuse a run whose header or table has changed since: its stored answers were joined with other truths.

    A cohort that is no longer there cannot be compared, and the stored answers stand for themselves.
    """
    plan = Plan.read(run.folder)
    folder = (run.work / plan.cohort).resolve()
    if folder.is_dir() and Cohort.read(folder).digest != plan.digest:
        raise PolytaskError(
            f"{folder}: header or table changed since {run.folder.name} was evaluated; restore them, or plan, train "
            "and evaluate again"
        )
