"""Adam for the few numbers that a rule learns, as a pure function of what the rule remembers."""

from __future__ import annotations

import numpy as np

from polytask.balance.rule import Array, RuleInput, RuleMemory

ADAM_BETAS = (0.9, 0.999)
ADAM_EPSILON = 1e-8


def start_adam(tasks: int, start: float = 0.0) -> RuleMemory:
    """Start with one learned number per task, and no steps of Adam taken."""
    zeros = np.zeros(tasks)
    return {"value": np.full(tasks, start), "first": zeros, "second": zeros, "steps": zeros}


def step_adam(
    memory: RuleMemory, batch: RuleInput, gradient: Array, rate: float, decay: float = 0.0
) -> RuleMemory:
    """Take one step of Adam (Kingma & Ba 2015) for the tasks of this batch, with L2 `decay`.

    The numbers of absent tasks do not change.
    """
    at = batch.present
    changed = {name: values.copy() for name, values in memory.items()}
    slope = gradient + decay * memory["value"][at]
    # Each task counts its own steps: a rare task's first steps need the correction of the bias as well.
    changed["steps"][at] += 1
    changed["first"][at] = ADAM_BETAS[0] * memory["first"][at] + (1 - ADAM_BETAS[0]) * slope
    changed["second"][at] = ADAM_BETAS[1] * memory["second"][at] + (1 - ADAM_BETAS[1]) * slope**2
    first = changed["first"][at] / (1 - ADAM_BETAS[0] ** changed["steps"][at])
    second = changed["second"][at] / (1 - ADAM_BETAS[1] ** changed["steps"][at])
    changed["value"][at] -= rate * first / (np.sqrt(second) + ADAM_EPSILON)
    return changed
