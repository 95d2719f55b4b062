"""`polytask study --dry-run`: estimates how many runs, hours and gigabytes a study would take, without writing it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from polytask.study.costs_beside_hard import CostBesideHard, compare_costs_with_hard
from polytask.study.design_draft import draft_design
from polytask.study.run_estimate import estimate_runs
from polytask.study.study_folder import Study
from polytask.study.study_location import locate_study, prepare_workspace
from polytask.study.study_request import StudyRequest
from polytask.study.workspace import Workspace


@dataclass(frozen=True)
class Forecast:
    """The estimated size, time and disk space of a study.

    Args:
        runs: number of all runs. Of them, `done` are finished and `todo` are still to do; the `failed` ones are tried
            again and count in `todo` too.
        minutes: arm → minutes of one of its runs; an arm that could not be timed is missing.
        measured: arms whose minutes come from finished runs; those of the others come from a few timed steps.
        hours, gigabytes: what the runs in `todo` need together, with `jobs` runs at a time.
        beside_hard: arm → what a step costs beside `hard`.
    """

    study: str
    work: str
    arms: tuple[str, ...]
    folds: int
    seeds: int
    runs: int
    done: int
    failed: int
    todo: int
    steps: int
    how: str
    tune_every: int
    threads: int
    jobs: int
    minutes: dict[str, float]
    measured: tuple[str, ...]
    hours: float
    gigabytes: float
    beside_hard: dict[str, CostBesideHard]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain data for JSON."""
        return asdict(self)


def forecast_study(
    source: Path | str,
    request: StudyRequest | None = None,
    out: Path | str | None = None,
    *,
    name: str = "study",
    jobs: int = 1,
    say: Callable[[str], None] = lambda what: None,
) -> Forecast:
    """Estimate what a study would take. The arms are timed with a few steps; no study is written.

    A cohort is planned and prepared first, exactly as it would be for the study itself.

    Args:
        source, request, out, name, jobs: the same as in `run_study`.
    """
    request = request or StudyRequest()
    request.refuse_invalid_values()
    location = locate_study(source, out, name)
    prepare_workspace(location, request.folds, say)
    workspace = Workspace.read(location.work)
    design = draft_design(location, workspace, request, jobs, say=say)
    study = Study.of(location.folder, design)
    by_arm = estimate_runs(study, workspace)
    todo = [run for run in study.runs if run.state != "done"]
    # A killed run continues where it stopped, so only the rest of it counts.
    seconds = [by_arm[r.arm.name].seconds * (1 - r.progress[0]) for r in todo if r.arm.name in by_arm]
    return Forecast(
        study=str(location.folder),
        work=str(location.work),
        arms=tuple(arm.name for arm in design.arms),
        folds=len(design.folds),
        seeds=len(design.seeds),
        runs=len(study.runs),
        done=len(study.runs) - len(todo),
        failed=sum(run.state == "failed" for run in todo),
        todo=len(todo),
        steps=design.steps,
        how=design.how,
        tune_every=design.tune_every,
        threads=design.threads,
        jobs=jobs,
        minutes={arm: estimate.seconds / 60 for arm, estimate in by_arm.items()},
        measured=tuple(arm for arm, estimate in by_arm.items() if estimate.measured),
        # More jobs than open runs do not make the study faster; an empty list must not divide by 0.
        hours=sum(seconds) / max(1, min(jobs, len(seconds))) / 3600,
        gigabytes=sum(by_arm[r.arm.name].megabytes for r in todo if r.arm.name in by_arm) / 1000,
        beside_hard=compare_costs_with_hard(design, workspace),
    )
