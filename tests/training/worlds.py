"""Networks at step 0 and batches made in memory: what a single step needs, without a cohort, a plan or a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from polytask.model.building_blocks import NamedModules
from polytask.plan.plan_schema import BalancePlan, TrainingPlan
from polytask.prepare.batch import Batch
from polytask.tasks import make_task
from polytask.tasks.target import Target
from polytask.training.balancing import Balancer
from polytask.training.distributed import World
from polytask.training.fitting import make_optimizer
from polytask.training.schedule import Schedule
from polytask.training.state import FitState
from tests.model.worlds import FIELDS, inputs_of, network_of

ALONE = World(0, 1, torch.device("cpu"))
POOLED = ("grade", "type")


def settings_of(rule: str = "equal", **changes: Any) -> TrainingPlan:
    """Settings of a training on the CPU; `changes` are fields of it."""
    values: dict[str, Any] = {
        "batch": 3,
        "epochs": 2,
        "steps_per_epoch": 4,
        "precision": "float32",
        "threads": 1,
        "workers": 0,
        "balance": BalancePlan(rule=rule, log_every=0),
    }
    return TrainingPlan(**{**values, **changes})


def state_of(
    tasks: Sequence[str] = POOLED, settings: TrainingPlan | None = None, dropout: float = 0.0
) -> FitState:
    """A small network of tasks of `tests.model.worlds`, before its first step."""
    settings = settings or settings_of()
    made = {name: make_task(name, FIELDS[name]) for name in tasks}
    network = network_of(made, 2, dropout=dropout)
    return FitState(
        network,
        make_optimizer(network, settings),
        NamedModules({name: task.criterion() for name, task in made.items()}),
        Balancer.of(network, settings),
        Schedule.of(settings, settings.epochs * settings.steps_per_epoch),
    )


def batch_of(known: Mapping[str, Sequence[Sequence[bool]]], seed: int = 0) -> Batch:
    """Three subjects with two visits each (the second subject has one); all classes are 1.

    Args:
        known: visit task → for each subject and visit whether it is known.
    """
    inputs = inputs_of(2, subjects=3, seed=seed)
    return Batch(
        subjects=("s0", "s1", "s2"),
        visits=(("first", "second"), ("first", ""), ("first", "second")),
        visit_known=inputs.visit_known,
        day=inputs.day,
        whole=inputs.whole,
        patch={},
        channel_known=inputs.channel_known,
        tables=inputs.tables,
        table_known=inputs.table_known,
        targets={
            name: Target(torch.ones(3, 2, dtype=torch.long), torch.tensor(there))
            for name, there in known.items()
        },
    )
