"""Adam for the few numbers a rule learns, as a pure function on what the rule remembers."""

from __future__ import annotations

import numpy as np

from polytask.balance.rule import Array, Memory, Seen

BETA = (0.9, 0.999)
TINY = 1e-8


def learner(tasks: int, start: float = 0.0) -> Memory:
    """One learnt number for each task."""
    zeros = np.zeros(tasks)
    return {"value": np.full(tasks, start), "first": zeros, "second": zeros, "steps": zeros}


def learnt(memory: Memory, seen: Seen, gradient: Array, rate: float, decay: float = 0.0) -> Memory:
    """One step of Adam (Kingma & Ba 2015) for the tasks seen, with L2 `decay`; the others' numbers stand still."""
    at = seen.present
    changed = {name: values.copy() for name, values in memory.items()}
    slope = gradient + decay * memory["value"][at]
    changed["steps"][at] += 1
    changed["first"][at] = BETA[0] * memory["first"][at] + (1 - BETA[0]) * slope
    changed["second"][at] = BETA[1] * memory["second"][at] + (1 - BETA[1]) * slope**2
    first = changed["first"][at] / (1 - BETA[0] ** changed["steps"][at])
    second = changed["second"][at] / (1 - BETA[1] ** changed["steps"][at])
    changed["value"][at] -= rate * first / (np.sqrt(second) + TINY)
    return changed
