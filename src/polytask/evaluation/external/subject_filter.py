"""Selects who is judged: cases that the model can read, of people that it was not trained on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from polytask.cohort.cell_values import image_paths, voxel_source
from polytask.cohort.cohort import Case, Cohort
from polytask.errors import PolytaskError
from polytask.images.plane_paths import find_source_file
from polytask.plan.plan_schema import Plan


def find_unreadable_subjects(cohort: Cohort, plan: Plan) -> dict[str, str]:
    """Find the subjects with a case that lacks a channel which the model cannot do without: subject → the reason."""
    reasons: dict[str, str] = {}
    for case in cohort.cases:
        if why := _explain_missing_channel(cohort, case, plan):
            reasons.setdefault(case.subject, why)
    return reasons


def _explain_missing_channel(cohort: Cohort, case: Case, plan: Plan) -> str:
    for name in cohort.header.images:
        missing = [c for c, path in image_paths(cohort, case, name).items() if path is None]
        # A model of several inputs can do without a whole image, but not with half of its channels, unless it learned
        # so (`channel_flags`).
        whole = len(missing) == len(cohort.header.images[name].channels)
        if (
            missing
            and not plan.shared.images[name].channel_flags
            and not (whole and len(cohort.header.inputs) > 1)
        ):
            return f"no {name}.{missing[0]}" + (f" at {case.visit}" if case.visit else "")
    return ""


def ensure_mask_files_exist(cohort: Cohort) -> None:
    """Refuse masks and doses whose files do not exist, before anything is predicted."""
    for case in cohort.cases:
        for task in cohort.written:
            source = voxel_source(cohort, case, task)
            for path in () if source is None else (*source.paths, source.region):
                if path is not None and not find_source_file(path).exists():
                    raise PolytaskError(
                        f"{cohort.table}, row {case.row}, subject {case.subject}, {task}: {path} is not there; correct "
                        "the path, or empty the cell"
                    )


def leave_out_subjects(cohort: Cohort, left_out: Collection[str]) -> Cohort:
    """Return the cohort without some of its subjects."""
    return replace(cohort, cases=tuple(c for c in cohort.cases if c.subject not in left_out))
