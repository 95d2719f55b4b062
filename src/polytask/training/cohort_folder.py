"""Finds the cohort that a plan belongs to."""

from __future__ import annotations

from pathlib import Path

from polytask.errors import PolytaskError
from polytask.plan.plan_schema import Plan


def find_cohort_folder(work: Path, plan: Plan, plan_folder: Path | None = None) -> Path:
    """Find the cohort of a plan. Its path is relative to the work folder, wherever the plan lies."""
    folder = (work / plan.cohort).resolve()
    if not folder.is_dir():
        raise PolytaskError(
            f"{folder}: the cohort of the plan is not there; bring it back, or write where it is under `cohort` in "
            f"{(plan_folder or work) / 'plan.yaml'}"
        )
    return folder
