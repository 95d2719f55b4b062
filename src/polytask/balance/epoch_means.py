"""Mean losses per epoch, for rules that compare epochs."""

from __future__ import annotations

import numpy as np

from polytask.balance.rule import Array, RuleInput, RuleMemory

NO_MEAN = float("nan")


def start_history(tasks: int, epochs: int) -> RuleMemory:
    """Start without any loss; there is room for the means of `epochs` finished epochs, the newest last."""
    zeros = np.zeros(tasks)
    return {"epoch": np.zeros(1), "sum": zeros, "count": zeros, "past": np.full((epochs, tasks), NO_MEAN)}


def roll_epoch(memory: RuleMemory, batch: RuleInput) -> RuleMemory:
    """Begin a new epoch: the means of the finished one join the past.

    A task that was absent for the whole epoch keeps its last mean.
    """
    if batch.epoch == int(memory["epoch"][0]):
        return memory
    count, past = memory["count"], memory["past"]
    mean = np.where(count > 0, memory["sum"] / np.maximum(count, 1), past[-1])
    zeros = np.zeros_like(count)
    new = {"epoch": np.array([float(batch.epoch)]), "sum": zeros, "count": zeros}
    return {**memory, **new, "past": np.concatenate([past[1:], mean[None]])}


def add_batch_losses(memory: RuleMemory, batch: RuleInput) -> RuleMemory:
    """Add the losses of this batch to the running epoch."""
    total, count = memory["sum"].copy(), memory["count"].copy()
    total[batch.present] += batch.losses
    count[batch.present] += 1
    return {**memory, "sum": total, "count": count}


def read_past_means(memory: RuleMemory, batch: RuleInput, back: int) -> Array:
    """Read the mean losses `[K]` of `back` epochs ago (1 = the last finished one); NaN where there is none."""
    means: Array = memory["past"][-back][batch.present]
    return means


def softmax(x: Array) -> Array:
    """Make positive numbers that sum to 1."""
    # Without the maximum, large values would overflow.
    powers = np.exp(x - x.max())
    shares: Array = powers / powers.sum()
    return shares
