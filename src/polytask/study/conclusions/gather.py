"""The finished runs of a study with their answers, and each task's metric on the same subjects for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from polytask.errors import PolytaskError
from polytask.evaluation.comparison import Evaluated
from polytask.evaluation.statistic import Statistic
from polytask.statistics.counts import RESAMPLES
from polytask.statistics.values import FoldValues
from polytask.study.conclusions.primary import from_statistics
from polytask.study.folder import Study, StudyRun
from polytask.study.margins import POINTS, default_margin, is_error

Key = tuple[str, int]
"""Arm and seed."""


@dataclass(frozen=True)
class Finished:
    """A run with what it answered."""

    run: StudyRun
    evaluated: Evaluated

    @cached_property
    def statistic(self) -> Statistic:
        """Its metrics as a function of subjects."""
        found = self.evaluated
        return Statistic(found.tasks, found.answers, list(found.answers.sites))


@dataclass(frozen=True)
class Asked:
    """What a task is, for who reads of it.

    Args:
        metric, higher: primary metric, and whether more is better. points: in one unit of the metric. unit: of those.
        title: how pages write the task, the header's `title` or its name.
    """

    kind: str
    level: str
    metric: str
    higher: bool
    points: float
    unit: str
    title: str


@dataclass(frozen=True)
class Gathered:
    """All finished runs, by fold.

    Args:
        folds: fold → (arm, seed) → run. asked: task → what it is, in the header's order. resamples: of each bootstrap.
    """

    study: Study
    folds: Mapping[int, Mapping[Key, Finished]]
    asked: Mapping[str, Asked]
    resamples: int

    @property
    def arms(self) -> list[str]:
        """Of which at least one run is finished, `single` first."""
        there = {arm for runs in self.folds.values() for arm, _ in runs}
        return [a.name for a in self.study.arms if a.name in there]

    def of_arm(self, arm: str) -> list[Finished]:
        """Its finished runs."""
        return [found for runs in self.folds.values() for (name, _), found in runs.items() if name == arm]

    @cached_property
    def margins(self) -> dict[str, float]:
        """Task → the study's margin; of a study that began before it had any, the default."""
        margins = dict(self.study.design.margins)
        for task in self.asked:
            runs = [r.evaluated.tasks for by_key in self.folds.values() for r in by_key.values()]
            known = [tasks[task] for tasks in runs if task in tasks]
            margins.setdefault(task, default_margin(known) if known else POINTS)
        return margins

    def values(self, task: str, arms: Sequence[str]) -> list[FoldValues]:
        """A task's metric of some arms, on the subjects that all of them answered."""
        found = []
        for fold, runs in self.folds.items():
            statistics = {
                k: r.statistic for k, r in runs.items() if k[0] in arms and task in r.evaluated.tasks
            }
            made = from_statistics(fold, task, statistics) if statistics else None
            if made is not None:
                found.append(made)
        return found


def gather(study: Study, resamples: int = RESAMPLES) -> Gathered:
    """Read what is finished.

    Raises:
        PolytaskError: nothing is.
    """
    folds: dict[int, dict[Key, Finished]] = {}
    for run in study.runs:
        if run.state == "done":
            evaluated = Evaluated.read(run.folder, "held_out")
            folds.setdefault(run.fold, {})[run.arm.name, run.seed] = Finished(run, evaluated)
    if not folds:
        raise PolytaskError(
            f"{study.folder}: no run of this study is finished; run `polytask study` again to go on"
        )
    asked: dict[str, Asked] = {}
    for runs in folds.values():
        for found in runs.values():
            for name, task in found.evaluated.evaluation.tasks.items():
                asked.setdefault(name, _asked(task, find_title(found.evaluated.run.record, name)))
    return Gathered(study, dict(sorted(folds.items())), asked, resamples)


def find_title(record: Mapping[str, Any], task: str) -> str:
    """How pages write a task, by the header that a run recorded in `run.yaml`."""
    tasks = (record.get("header") or {}).get("tasks") or {}
    return str((tasks.get(task) or {}).get("title") or task)


def _asked(task: Mapping[str, object], title: str) -> Asked:
    """Metrics on a scale to 1 are told in points of a hundredth, others in their own unit."""
    metric, unit = str(task["primary"]), str(task.get("unit") or "")
    bare = is_error(metric)
    return Asked(
        str(task["kind"]),
        str(task["level"]),
        metric,
        bool(task["higher"]),
        1.0 if bare else 100.0,
        unit if bare else "points",
        title,
    )
