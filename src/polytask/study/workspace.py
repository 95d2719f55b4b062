"""The inputs of a study: plan, cohort, folds and store of its work folder, and their hashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from polytask.cohort.cohort import Cohort
from polytask.cohort.header import Header
from polytask.cohort.splits import Splits
from polytask.errors import PolytaskError, suggest_word
from polytask.plan.plan_schema import Plan
from polytask.plan.validate import list_planned_tasks
from polytask.prepare.store import Store
from polytask.prepare.store_builder import read_plan_cohort
from polytask.study.study_design import StudyHashes


@dataclass(frozen=True)
class Workspace:
    """A work folder that is planned and prepared, with its parts read."""

    work: Path
    plan: Plan
    cohort: Cohort
    splits: Splits
    store: Store

    @classmethod
    def read(cls, work: Path) -> Workspace:
        """Read a work folder; raises a PolytaskError when a part is missing or belongs to another cohort."""
        plan = Plan.read(work)
        cohort, splits, store = (
            read_plan_cohort(plan, work),
            Splits.read(work / "splits.json"),
            Store(work / "store"),
        )
        _ = store.content  # a store that is not finished is refused here
        return cls(work, plan, cohort, splits, store)

    def rests(self) -> StudyHashes:
        """Compute the hashes of everything the runs of a study have in common."""
        from polytask.training.run_plan import plan_hash
        from polytask.training.tensor_files import sha256

        plan = {fold: plan_hash(self.plan, fold) for fold in self.plan.folds}
        return StudyHashes(plan, sha256(self.work / "splits.json"), self.cohort.digest, self.store.content)

    def header(self, tasks: Sequence[str] | None) -> Header:
        """Return the cohort's header with only these tasks, because a preset looks at the tasks of the header."""
        header = self.cohort.header
        requested = {name: task for name, task in header.tasks.items() if tasks is None or name in tasks}
        return header.model_copy(update={"tasks": requested})

    def tasks(self, asked: Sequence[str] | None) -> list[str]:
        """Return the tasks that were asked for, in the order of the plan; all tasks for None.

        Raises:
            PolytaskError: the plan has no task of that name.
        """
        known = list_planned_tasks(self.plan)
        for task in asked or ():
            if task not in known:
                raise PolytaskError(f"--tasks {task}: {suggest_word(task, known)}")
        return [task for task in known if asked is None or task in asked]

    def folds(self, asked: int | None, tasks: Sequence[str]) -> tuple[int, ...]:
        """Return the first `asked` folds of the plan (all for None), without those that can train none of `tasks`.

        Raises:
            PolytaskError: the plan has fewer folds.
        """
        known = tuple(self.plan.folds)
        if asked is not None and asked > len(known):
            raise PolytaskError(
                f"--folds {asked}: {self.work / 'plan.yaml'} has {len(known)}; give at most that, or plan into another "
                f"folder with `polytask plan COHORT -o WORK --folds {asked}`"
            )
        return tuple(fold for fold in known[:asked] if self.list_trained_tasks(fold, tasks))

    def list_trained_tasks(self, fold: int, tasks: Sequence[str]) -> list[str]:
        """List those of `tasks` that a fold can train: a site that is held out may be the only one with a task."""
        return [task for task in tasks if task in self.plan.folds[fold].tasks]

    def choose_timed_fold(self, folds: Sequence[int], tasks: Sequence[str]) -> int:
        """Choose the fold whose steps are timed: the first of those that train the most of `tasks`."""
        return max(folds, key=lambda fold: len(self.list_trained_tasks(fold, tasks)))
