"""`--dry-run`: how many runs, hours and gigabytes a study would take. No study is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from polytask.study.draft import draft
from polytask.study.expect import expected
from polytask.study.folder import Study
from polytask.study.ground import Ground
from polytask.study.ready import make_ready, place_of
from polytask.study.wanted import Wanted


@dataclass(frozen=True)
class Forecast:
    """What a study would take.

    Args:
        runs: in all; of them `done`, `failed` (they are tried again) and `todo` (failed ones too).
        minutes: of one run, by arm; an arm that could not be timed is not in it.
        measured: arms whose minutes are those of finished runs; the others are from a probe.
        hours, gigabytes: of what is to do, `jobs` runs at a time.
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

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def forecast(
    source: Path | str,
    wanted: Wanted | None = None,
    out: Path | str | None = None,
    *,
    name: str = "study",
    jobs: int = 1,
    say: Callable[[str], None] = lambda what: None,
) -> Forecast:
    """Look ahead. A cohort is planned and prepared for it, as it would be for the study; arms are timed.

    Args:
        source, wanted, out, name, jobs: as of `run_study`.
    """
    wanted = wanted or Wanted()
    wanted.refuse_nonsense()
    place = place_of(source, out, name)
    make_ready(place, wanted.folds, say)
    ground = Ground.read(place.work)
    design = draft(place, ground, wanted, jobs, say=say)
    study = Study.of(place.folder, design)
    by_arm = expected(study, ground)
    todo = [run for run in study.runs if run.state != "done"]
    seconds = [by_arm[r.arm.name].seconds * (1 - r.progress[0]) for r in todo if r.arm.name in by_arm]
    return Forecast(
        study=str(place.folder),
        work=str(place.work),
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
        minutes={arm: one.seconds / 60 for arm, one in by_arm.items()},
        measured=tuple(arm for arm, one in by_arm.items() if one.measured),
        hours=sum(seconds) / max(1, min(jobs, len(seconds))) / 3600,
        gigabytes=sum(by_arm[r.arm.name].megabytes for r in todo if r.arm.name in by_arm) / 1000,
    )
