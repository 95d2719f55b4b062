"""Estimates the time and disk space of a run from finished runs of its arm, else from the timed steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from polytask.cohort.cell_values import voxel_source
from polytask.cohort.header import VoxelSpec
from polytask.study.study_design import StudyDesign
from polytask.study.study_folder import Study, StudyRun
from polytask.study.workspace import Workspace

STARTUP_SECONDS = 6.0
"""Seconds until the process of a run has loaded all libraries."""
HELD_OUT_TIME_FACTOR = 3.0
"""A held-out case takes this many times as long as a tune case: windows overlap, and masks return to their grids."""
WEIGHT_COPIES = 4
"""Copies of the weights on disk: best, last, and the two moments of the optimizer."""
BYTES_PER_WEIGHT = 4
MAX_MEASURED_MASK_CASES = 20
"""Number of cases whose mask files are measured at most."""


@dataclass(frozen=True)
class RunEstimate:
    """Time and disk space of one run of an arm; `measured` is true when they come from finished runs."""

    seconds: float
    megabytes: float
    measured: bool


def estimate_runs(study: Study, workspace: Workspace) -> dict[str, RunEstimate]:
    """Return arm → what one of its runs takes; an arm that could not be timed is missing."""
    masks = estimate_mask_megabytes(workspace, study.design)
    estimates = {arm.name: _estimate_arm_run(arm.name, study, workspace, masks) for arm in study.arms}
    return {arm: estimate for arm, estimate in estimates.items() if estimate is not None}


def _estimate_arm_run(arm: str, study: Study, workspace: Workspace, masks: float) -> RunEstimate | None:
    done = [run for run in study.of_arm(arm) if run.state == "done"]
    if done:
        return RunEstimate(
            fmean(float(run.record.get("seconds") or 0) for run in done),
            fmean(float(run.record["costs"].get("disk_mb") or 0) for run in done),
            True,
        )
    design, pace = study.design, study.design.paces.get(arm)
    if pace is None:
        return None
    fold = workspace.splits.folds[design.folds[0]]
    # The extra one is the evaluation at the very end of training.
    evaluations = 1 + design.steps // (design.tune_every * workspace.plan.shared.training.steps_per_epoch)
    evaluation_seconds = HELD_OUT_TIME_FACTOR * pace.tune * len(fold.held_out) / max(1, len(fold.tune))
    seconds = STARTUP_SECONDS + design.steps * pace.step + evaluations * pace.tune + evaluation_seconds
    return RunEstimate(seconds, pace.parameters * BYTES_PER_WEIGHT * WEIGHT_COPIES / 1e6 + masks, False)


def estimate_remaining_seconds(
    runs: Iterator[StudyRun] | list[StudyRun], by_arm: dict[str, RunEstimate], jobs: int
) -> float:
    """Estimate the seconds until these runs are done, `jobs` at a time; NaN when one of their arms has no estimate."""
    seconds = []
    for run in runs:
        if run.arm.name not in by_arm:
            return float("nan")
        seconds.append(by_arm[run.arm.name].seconds * (1 - run.progress[0]))
    # Even with many jobs, the longest single run is a lower bound.
    return max([sum(seconds) / max(1, min(jobs, len(seconds))), *seconds])


def estimate_mask_megabytes(workspace: Workspace, design: StudyDesign) -> float:
    """Estimate the size of the masks and doses a run writes, from the files of the true ones."""
    cohort, sizes = workspace.cohort, []
    tasks = [
        name for name in workspace.tasks(design.tasks) if isinstance(cohort.header.tasks[name], VoxelSpec)
    ]
    subjects = workspace.splits.folds[design.folds[0]].held_out
    cases = [case for subject in subjects for case in cohort.subjects.get(subject, ())]
    for case in cases[:MAX_MEASURED_MASK_CASES]:
        for task in tasks:
            source = voxel_source(cohort, case, task)
            sizes += [
                p.stat().st_size for p in (source.paths if source else ()) if p is not None and p.is_file()
            ]
    # Extrapolated from a few cases, because asking for the size of every file of a large cohort takes long.
    return fmean(sizes) * len(tasks) * len(cases) / 1e6 if sizes else 0.0
