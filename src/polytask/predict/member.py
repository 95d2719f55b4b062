"""A member: one model of an ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from polytask.model.network import Network
from polytask.plan.plan_schema import FoldPlan
from polytask.predict.held_out import HeldOutMetrics
from polytask.tasks.task import Task
from polytask.training.decisions import Decisions


@dataclass(frozen=True)
class Member:
    """One model of an ensemble: the networks of one fold and seed, and the tasks as that fold knows them.

    Args:
        decisions: its risk groups and operating points. baselines: simple models fitted on the same subjects.
        held_out: how good it was where it did not train; None where that is not known.
    """

    fold: int
    seed: int
    plan: FoldPlan
    tasks: dict[str, Task]
    networks: tuple[Network, ...]
    decisions: Decisions = field(default_factory=Decisions)
    baselines: tuple[Mapping[str, Any], ...] = ()
    held_out: HeldOutMetrics | None = None
