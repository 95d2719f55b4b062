"""The training log of one network as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from polytask.array_types import NAN
from polytask.evaluation.run_costs import RunLogEntry

Array = npt.NDArray[np.float64]
KeyName = TypeVar("KeyName")


@dataclass(frozen=True)
class TrainingCurves:
    """How the training of one network with T tasks went: L gradient records, E epochs.

    Args:
        name: name of the network, "" for a joint one. tasks: its tasks in order.
        entries: its lines of the log.
        look_steps: steps at which the gradients were recorded, `[L]`.
        losses, norms, weights: loss, gradient norm and weight of each task at these steps, `[L, T]`; NaN where a task
            was not in the batch.
        cosines: pair of tasks (in the order of `tasks`) → cosine of their gradients, `[L]`.
        epoch_steps: steps at which epochs ended, `[E]`.
        means: mean loss of each epoch, `[E, T]`.
        lengths: mean norm of the whole gradient in each epoch, `[E]`.
    """

    name: str
    tasks: tuple[str, ...]
    entries: Sequence[RunLogEntry]
    look_steps: Array
    losses: Array
    norms: Array
    weights: Array
    cosines: Mapping[tuple[str, str], Array]
    epoch_steps: Array
    means: Array
    lengths: Array

    @classmethod
    def of(cls, name: str, tasks: Sequence[str], entries: Sequence[RunLogEntry]) -> TrainingCurves:
        """Build the curves from the log entries of one network."""
        looks = [(e["step"], e["gradients"]) for e in entries if isinstance(e.get("gradients"), Mapping)]
        ends = [e for e in entries if isinstance(e.get("loss"), Mapping)]
        table = {
            key: np.array([[_read_log_entry(g, key, t) for t in tasks] for _, g in looks]).reshape(
                -1, len(tasks)
            )
            for key in ("losses", "norms", "weights")
        }
        pairs = [(a, b) for k, a in enumerate(tasks) for b in tasks[k + 1 :]]
        return cls(
            name,
            tuple(tasks),
            entries,
            np.array([read_log_number(step) for step, _ in looks]),
            table["losses"],
            table["norms"],
            table["weights"],
            {pair: np.array([_read_pair_cosine(g.get("cosines"), pair) for _, g in looks]) for pair in pairs},
            np.array([read_log_number(e["step"]) for e in ends]),
            np.array([[_read_log_entry(e, "loss", t) for t in tasks] for e in ends]).reshape(-1, len(tasks)),
            np.array([_read_gradient_norm(e) for e in ends]),
        )

    @property
    def steps(self) -> int:
        """Number of steps that were taken."""
        return max((int(read_log_number(e["step"])) for e in self.entries), default=0)

    def list_tune_metrics(self) -> Iterator[tuple[int, Mapping[str, Mapping[str, Any]]]]:
        """Yield (step, metrics on tune by task) for every evaluation on tune."""
        for entry in self.entries:
            if isinstance(tune_metrics := entry.get("tune"), Mapping):
                yield (
                    int(read_log_number(entry["step"])),
                    {k: v for k, v in tune_metrics.items() if isinstance(v, Mapping)},
                )

    def common(self) -> dict[tuple[str, str], float]:
        """Return for each pair of tasks the share of all steps in which both were known on at least one sample."""
        return self._shares(
            "common", {pair: (f"{pair[0]} {pair[1]}", f"{pair[1]} {pair[0]}") for pair in self.cosines}
        )

    def present(self) -> dict[str, float]:
        """Return for each task the share of all steps in which it was known on at least one sample."""
        return self._shares("present", {task: (task,) for task in self.tasks})

    def _shares(self, key: str, names: Mapping[KeyName, Sequence[str]]) -> dict[KeyName, float]:
        """Average an entry of the log over the epochs, weighted by their steps; `names`: what → names that it may
        have."""
        sums: dict[KeyName, float] = {}
        counted, before = 0.0, 0.0
        for entry in self.entries:
            if not isinstance(entry.get("loss"), Mapping):
                continue
            # Epochs may differ in length, for instance in a resumed or shortened training, so each counts by its steps.
            steps, before = read_log_number(entry["step"]) - before, read_log_number(entry["step"])
            if not isinstance(shares := entry.get(key), Mapping):
                continue  # written by an older version
            counted += steps
            for key_name, log_names in names.items():
                value = next((read_log_number(shares[c]) for c in log_names if c in shares), NAN)
                sums[key_name] = sums.get(key_name, 0.0) + value * steps
        return {
            key_name: value / counted
            for key_name, value in sums.items()
            if counted > 0 and np.isfinite(value)
        }


def read_log_number(value: Any) -> float:
    """Convert a value of the log to a number; NaN for null and for anything that is no number."""
    # In Python a bool is an int: `true` in a damaged log must not become 1.
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else NAN


def _read_log_entry(entry: Mapping[str, Any], key: str, name: str) -> float:
    inner = entry.get(key)
    return read_log_number(inner.get(name)) if isinstance(inner, Mapping) else NAN


def _read_gradient_norm(entry: Mapping[str, Any]) -> float:
    """Read the gradient norm of an epoch; logs of older versions have it among the losses only."""
    return (
        read_log_number(entry["gradient_norm"])
        if "gradient_norm" in entry
        else _read_log_entry(entry, "loss", "norm")
    )


def _read_pair_cosine(values: object, pair: tuple[str, str]) -> float:
    """Read a value of two tasks, whichever of them the log names first."""
    if not isinstance(values, Mapping):
        return NAN
    a, b = pair
    return read_log_number(values.get(f"{a} {b}", values.get(f"{b} {a}")))
