"""Data path: training steps fed from the store ÷ the same steps on one cached batch. Wanted: at most 1.05.

    python benchmarks/data_path.py [--workers N] [--steps N] [--rounds N] [--size N]

A 3D phantom of 64³ with every task of one visit, batch 2, the network, precision, threads and worker count that the
plan chose. Both sides take turns in one process; the ratio is the median over the rounds. Beside it stands a figure
that a busy machine does not disturb: CPU seconds of reading a batch ÷ CPU seconds of a step.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from itertools import islice, repeat
from pathlib import Path
from statistics import median

import torch

from polytask.cohort.cohort import Cohort
from polytask.cohort.phantom import make_phantom
from polytask.model.building_blocks import NamedModules
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_values
from polytask.plan.work_folder import plan_into
from polytask.prepare import Loader, Store, prepare
from polytask.prepare.batch import Batch
from polytask.training.assemble import make_network, make_network_spec, make_tasks
from polytask.training.balancing import Balancer
from polytask.training.distributed import World
from polytask.training.fitting import make_optimizer
from polytask.training.schedule import Schedule
from polytask.training.state import FitState
from polytask.training.step import take_step

MAX_FED_RATIO = 1.05


def main() -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=None, help="data workers (default: the plan's)")
    parser.add_argument("--steps", type=int, default=8, help="steps of a round")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--threads", type=int, default=None, help="threads of a step (default: the plan's)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        cohort, plan, store = make_planned_phantom(root, options.size)
        torch.set_num_threads(options.threads or plan.shared.training.threads)
        state = make_fresh_state(cohort, plan)
        count = options.steps * options.rounds
        with Loader(
            store, cohort, plan, 0, "train", seed=0, workers=options.workers, steps=count + 3
        ) as loader:
            fed = loader.batches(0)
            cached = next(fed)
            time_training_steps(state, plan, islice(fed, 2))
            spent: dict[str, list[float]] = {"fed": [], "cached": []}
            for _ in range(options.rounds):
                spent["cached"].append(time_training_steps(state, plan, repeat(cached, options.steps)))
                spent["fed"].append(time_training_steps(state, plan, islice(fed, options.steps)))
            workers = loader.workers
        started = time.process_time()
        time_training_steps(state, plan, repeat(cached, options.steps))
        step_cpu = (time.process_time() - started) / options.steps
        result = {
            "ratio": round(median(f / c for f, c in zip(spent["fed"], spent["cached"], strict=True)), 3),
            "wanted": MAX_FED_RATIO,
            "cpu_share_of_reading": round(time_batch_reading(store, cohort, plan) / step_cpu, 3),
            "seconds_per_step": {k: round(median(v) / options.steps, 3) for k, v in spent.items()},
            "workers": workers,
            "threads": torch.get_num_threads(),
            "precision": plan.shared.training.precision,
            "view": plan.shared.images["scan"].view,
            "tasks": list(plan.folds[0].tasks),
        }
    print(json.dumps(result))


def make_planned_phantom(root: Path, size: int) -> tuple[Cohort, Plan, Store]:
    """Make a phantom with its plan (batch 2) and its store."""
    make_phantom(root / "cohort", subjects=12, size=size, seed=0, visits=1)
    plan_into(root / "cohort", root / "work", folds=3, settings=["training.batch=2"])
    store = prepare(root / "work").store
    cohort = Cohort.read(root / "cohort")
    return cohort, set_values(Plan.read(root / "work"), ["training.batch=2"]), store


def time_batch_reading(store: Store, cohort: Cohort, plan: Plan, count: int = 30) -> float:
    """Measure the CPU seconds of reading and augmenting one batch with one thread, as a data worker does."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    batches = Loader(store, cohort, plan, 0, "train", seed=0, workers=0, steps=count + 1).batches(0)
    next(batches)
    started = time.process_time()
    for _ in batches:
        pass
    spent = (time.process_time() - started) / count
    torch.set_num_threads(threads)
    return spent


def make_fresh_state(cohort: Cohort, plan: Plan) -> FitState:
    """Make the network of the plan with its optimizer."""
    tasks = make_tasks(plan.folds[0])
    network = make_network(make_network_spec(plan, plan.folds[0], cohort.header), tasks, 0)
    criteria = NamedModules({name: task.criterion() for name, task in tasks.items()})
    settings = plan.shared.training
    balancer = Balancer.of(network, settings)
    return FitState(
        network, make_optimizer(network, settings), criteria, balancer, Schedule.of(settings, 1000)
    )


def time_training_steps(state: FitState, plan: Plan, batches: Iterator[Batch]) -> float:
    """Measure the seconds of a training step on each of the batches."""
    settings = plan.shared.training
    state.network.train()
    world = World(0, 1, torch.device("cpu"))
    started = time.perf_counter()
    for batch in batches:
        take_step(state, [batch], world, settings.rate, settings.precision, settings.clip)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
