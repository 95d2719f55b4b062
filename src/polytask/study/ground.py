"""What a study stands on: the plan, the cohort, the folds and the store of its work folder, and their hashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from polytask.cohort.cohort import Cohort
from polytask.cohort.header import Header
from polytask.cohort.splits import Splits
from polytask.errors import PolytaskError, nearest
from polytask.plan.files import read_plan
from polytask.plan.plan import Plan
from polytask.prepare.make import cohort_of
from polytask.prepare.store import Store
from polytask.study.design import Rests


@dataclass(frozen=True)
class Ground:
    """A planned and prepared work folder."""

    work: Path
    plan: Plan
    cohort: Cohort
    splits: Splits
    store: Store

    @classmethod
    def read(cls, work: Path) -> Ground:
        """Raises a PolytaskError when something of it is not there, or of another cohort."""
        plan = read_plan(work)
        cohort, splits, store = (
            cohort_of(plan, work),
            Splits.read(work / "splits.json"),
            Store(work / "store"),
        )
        _ = store.content  # a store that is not finished is refused here
        return cls(work, plan, cohort, splits, store)

    def rests(self) -> Rests:
        """Hashes of all that the runs have in common."""
        from polytask.training.files import sha256
        from polytask.training.run_plan import plan_hash

        plan = {fold: plan_hash(self.plan, fold) for fold in self.plan.folds}
        return Rests(plan, sha256(self.work / "splits.json"), self.cohort.digest, self.store.content)

    def header(self, tasks: Sequence[str] | None) -> Header:
        """With these tasks only, as presets look at it."""
        header = self.cohort.header
        asked = {name: task for name, task in header.tasks.items() if tasks is None or name in tasks}
        return header.model_copy(update={"tasks": asked})

    def tasks(self, asked: Sequence[str] | None) -> list[str]:
        """Those asked for, in the plan's order.

        Raises:
            PolytaskError: one is not there.
        """
        known = list(self.plan.folds[next(iter(self.plan.folds))].tasks)
        for task in asked or ():
            if task not in known:
                raise PolytaskError(f"--tasks {task}: {nearest(task, known)}")
        return [task for task in known if asked is None or task in asked]

    def folds(self, asked: int | None) -> tuple[int, ...]:
        """The first so many of the plan.

        Raises:
            PolytaskError: it has fewer.
        """
        known = tuple(self.plan.folds)
        if asked is not None and asked > len(known):
            raise PolytaskError(
                f"--folds {asked}: {self.work / 'plan.yaml'} has {len(known)}; give at most that, or plan into another "
                f"folder with `polytask plan COHORT -o WORK --folds {asked}`"
            )
        return known[:asked]
