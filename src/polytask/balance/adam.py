"""Adam for the few numbers that a rule learns, as a pure function of what the rule remembers."""

from __future__ import annotations

import numpy as np

from polytask.balance.rule import Array, Memory, Seen

BETA = (0.9, 0.999)
TINY = 1e-8


def learner(tasks: int, start: float = 0.0) -> Memory:
    """Start with one learned number per task, and no steps of Adam taken."""
    zeros = np.zeros(tasks)
    return {"value": np.full(tasks, start), "first": zeros, "second": zeros, "steps": zeros}


def learnt(memory: Memory, seen: Seen, gradient: Array, rate: float, decay: float = 0.0) -> Memory:
    """Take one step of Adam (Kingma & Ba 2015) for the tasks of this batch, with L2 `decay`.

    The numbers of absent tasks do not change.
    """
    at = seen.present
    changed = {name: values.copy() for name, values in memory.items()}
    slope = gradient + decay * memory["value"][at]
    # Each task counts its own steps: a rare task's first steps need the correction of the bias as well.
    changed["steps"][at] += 1
    changed["first"][at] = BETA[0] * memory["first"][at] + (1 - BETA[0]) * slope
    changed["second"][at] = BETA[1] * memory["second"][at] + (1 - BETA[1]) * slope**2
    first = changed["first"][at] / (1 - BETA[0] ** changed["steps"][at])
    second = changed["second"][at] / (1 - BETA[1] ** changed["steps"][at])
    changed["value"][at] -= rate * first / (np.sqrt(second) + TINY)
    return changed
