"""Loads all that training needs before its first step, to measure it. Makes no run and writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from polytask.cohort.cohort import Cohort
from polytask.cohort.fold_file import read_fold
from polytask.errors import PolytaskError
from polytask.plan.plan_file import ensure_cohort
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_values
from polytask.prepare.batch import Batch
from polytask.prepare.loader import Loader
from polytask.prepare.store import Store
from polytask.training.device_speedups import DeviceSpeedups, choose_speedups
from polytask.training.distributed import World, find_best_device
from polytask.training.fitting import RunContext, make_state, run_seed
from polytask.training.folder import Run
from polytask.training.freed_memory import keep_freed_memory
from polytask.training.run_plan import choose_fold_tasks
from polytask.training.state import FitState
from polytask.training.step import RecordLap, StepResult, ignore_lap, take_step
from polytask.training.tune_evaluation import TuneEvaluator


@dataclass(frozen=True)
class Rehearsal:
    """A fit before its first step, with one network for all tasks, whatever the sharing."""

    context: RunContext
    state: FitState

    def loader(self, workers: int | None = None) -> Loader:
        """Open the loader of training batches; `workers` comes from the plan by default. The caller closes it."""
        context = self.context
        names = dict.fromkeys([*self.state.network.tasks, *self.state.structures.values()])
        return Loader(
            context.store,
            context.cohort,
            context.plan,
            context.fold,
            "train",
            context.seed,
            tasks=names,
            workers=workers,
        )

    def batches(self, count: int) -> list[Batch]:
        """Read the first `count` training batches."""
        with self.loader(0) as loader:
            return list(islice(loader.batches(0), count))

    def step(self, batch: Batch, lap: RecordLap = ignore_lap) -> StepResult:
        """Take one training step, at a learning rate that hardly changes the weights."""
        settings, world = self.context.plan.shared.training, self.context.world
        self.state.network.train()
        return take_step(self.state, [batch], world, 1e-6, settings.precision, settings.clip, lap)

    def tune(self) -> None:
        """Run one evaluation on the tune part."""
        self.state.network.eval()
        TuneEvaluator(self.state, self.context)()


def load_rehearsal(
    work: Path | str,
    fold: int = 0,
    tasks: Sequence[str] | None = None,
    changes: Sequence[str] = (),
    device: str | None = None,
    seed: int = 0,
    speedups: DeviceSpeedups | None = None,
) -> Rehearsal:
    """Read a planned and prepared work folder up to the point where training would begin.

    Args:
        work: folder with `plan.yaml`, `splits.json` and `store/`.
        fold: which fold of the plan.
        tasks: only these tasks.
        changes: settings such as `training.precision=bf16`, for this time only.
        device: cpu, cuda, mps; by default the best there is.
        speedups: by default those of the device, as in a training.
    """
    work = Path(work)
    plan = set_values(Plan.read(work), changes)
    if fold not in plan.folds:
        raise PolytaskError(
            f"fold {fold} is not in {work / 'plan.yaml'}; it has {', '.join(map(str, plan.folds))}"
        )
    chosen = choose_fold_tasks(plan, fold, tasks)
    place = torch.device(device) if device else find_best_device()
    world = World(0, 1, place, choose_speedups(place) if speedups is None else speedups)
    cohort = Cohort.read((work / plan.cohort).resolve())
    ensure_cohort(plan, cohort)
    torch.set_num_threads(plan.shared.training.threads)
    return build_rehearsal(work, cohort, plan, fold, chosen, world, seed)


def build_rehearsal(
    work: Path, cohort: Cohort, plan: Plan, fold: int, tasks: Sequence[str], world: World, seed: int = 0
) -> Rehearsal:
    """Prepare one network for `tasks` under a plan that is already loaded."""
    keep_freed_memory()
    run = Run(work / "runs" / "", {"networks": {"": list(tasks)}, "init": None, "steps": None})
    parts = read_fold(work / "splits.json", fold, cohort)
    context = RunContext(run, plan, fold, run_seed(seed, fold), cohort, parts, Store(work / "store"), world)
    return Rehearsal(context, make_state(context, ""))
