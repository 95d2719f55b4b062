"""Logs like a run's, without training: entries are made by the functions that the training writes them with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from polytask.evaluation.doctor import DoctorChart
from polytask.evaluation.doctor.training_curves import TrainingCurves
from polytask.plan.plan_schema import BalancePlan, TrainingPlan
from polytask.tasks import make_task
from polytask.training.folder import Run
from polytask.training.gradient_log import SharedSampleCounts, summarize_gradients

TASKS: dict[str, dict[str, Any]] = {
    "lesion": {"kind": "segmentation", "level": "voxel", "structures": ["lesion"], "exclusive": True},
    "grade": {"kind": "ordinal", "level": "visit", "classes": ["G1", "G2", "G3"]},
    "diameter": {"kind": "regression", "level": "visit", "unit": "mm"},
    "size": {"kind": "regression", "level": "visit", "unit": "mm"},
}
PRIMARY = {"lesion": "dice", "grade": "kappa", "diameter": "r2", "size": "r2"}
SPREAD = {"lesion": 0.2}
"""Length of a gradient at the features, where it is not 1."""


@dataclass
class World:
    """A healthy training of four tasks; what a test makes ill is a field.

    Args:
        known: share of the looks and steps in which a task is there.
        scale: what a task's gradient is multiplied by.
        direction: (task, task) → the usual cosine between the two.
        together: whether tasks are known of the same samples. size: of tune.
        adapts: whether every task weighs one over its loss.
        start, end: of a task's loss. skill: of the evaluations on tune.
    """

    tasks: tuple[str, ...] = ("lesion", "grade", "diameter", "size")
    looks: int = 12
    epochs: int = 10
    per_epoch: int = 30
    seed: int = 0
    rule: str = "equal"
    cut: str = "features"
    weights: Mapping[str, float] = field(default_factory=dict)
    require: Mapping[str, int] = field(default_factory=dict)
    known: Mapping[str, float] = field(default_factory=dict)
    scale: Mapping[str, float] = field(default_factory=dict)
    against: Mapping[tuple[str, str], float] = field(default_factory=dict)
    start: Mapping[str, float] = field(default_factory=dict)
    end: Mapping[str, float] = field(default_factory=dict)
    skill: Mapping[str, Callable[[float], float]] = field(default_factory=dict)
    together: bool = True
    size: int = 40
    skipped: Sequence[str] = ()
    sharing: str = "hard"
    adapts: bool = False

    def entries(self) -> list[dict[str, Any]]:
        """The lines of the log."""
        rng, names = np.random.default_rng(self.seed), list(self.tasks)
        total = self.epochs * self.per_epoch
        found: list[dict[str, Any]] = [{"step": 1, "skipped": text} for text in self.skipped]
        for k in range(self.looks):
            step = 1 + k * total // max(1, self.looks)
            there = [rng.random() < self.known.get(t, 1.0) for t in names]
            losses = np.array([self._loss(t, step / total) * rng.lognormal(0, 0.2) for t in names])
            gradients = self._gradients(rng)
            inner = gradients @ gradients.T
            out = ~np.array(there)
            inner[out], inner[:, out], losses[out] = np.nan, np.nan, np.nan
            weights = np.array([self.weights.get(t, 1.0) for t in names])
            weights = 1 / np.where(out, 1.0, losses) if self.adapts else weights
            if self.rule == "fixed":  # the backward pass of a loss times 0 has no gradient to tell
                inner[weights == 0], inner[:, weights == 0] = np.nan, np.nan
            found.append(
                {"step": step, "gradients": summarize_gradients(names, [(inner, losses)], [weights], None)}
            )
        for epoch in range(self.epochs):
            common, present = SharedSampleCounts(names), np.zeros(len(names))
            for _ in range(self.per_epoch):
                there = [rng.random() < self.known.get(t, 1.0) for t in names]
                present += there
                pairs = np.outer(there, there) * (1 if self.together else np.eye(len(names)))
                common.add(pairs.tolist())
            at = (epoch + 0.5) / self.epochs
            found.append(
                {
                    "step": (epoch + 1) * self.per_epoch,
                    "epoch": epoch,
                    "loss": {t: self._loss(t, at) * rng.lognormal(0, 0.02) for t in names} | {"norm": 0.5},
                    "common": common.shares(),
                    "present": dict(zip(names, (present / self.per_epoch).tolist(), strict=True)),
                    "tune": {"skill": 0.5, **{t: self._metrics(t, at, rng) for t in names}},
                }
            )
        return sorted(found, key=lambda e: e["step"])

    def chart(self) -> DoctorChart:
        """As if read from a run."""
        record = {"name": "r", "fold": 0, "seed": 0, "sharing": self.sharing, "networks": {}, "init": None}
        balance = BalancePlan(rule=self.rule, cut=self.cut)
        settings = TrainingPlan(
            batch=8,
            epochs=self.epochs,
            steps_per_epoch=self.per_epoch,
            precision="bf16",
            threads=1,
            workers=0,
            weights=dict(self.weights),
            require_every=dict(self.require),
            balance=balance,
        )
        tasks = {t: make_task(t, TASKS[t]) for t in self.tasks}
        course = TrainingCurves.of("", self.tasks, self.entries())
        return DoctorChart(
            Run(Path("work/runs/r"), record), settings, tasks, dict.fromkeys(tasks, 0.5), 0.1, (course,)
        )

    def _loss(self, task: str, at: float) -> float:
        first, last = self.start.get(task, 1.0), self.end.get(task, 0.4)
        return float(last + (first - last) * np.exp(-4 * at))

    def _gradients(self, rng: np.random.Generator) -> np.ndarray:
        """`[T, 64]`: random directions, two tasks against each other where it was asked."""
        size = rng.standard_normal((len(self.tasks), 64)) / 8
        for (a, b), share in self.against.items():
            i, j = self.tasks.index(a), self.tasks.index(b)
            size[j] = -share * size[i] + (1 - share) * size[j]
        lengths = [
            SPREAD.get(t, 1.0) * self.scale.get(t, 1.0) * rng.lognormal(0, 0.3) * 0.05 for t in self.tasks
        ]
        return size * np.array(lengths)[:, None]

    def _metrics(self, task: str, at: float, rng: np.random.Generator) -> dict[str, float]:
        usual = self.skill.get(task, lambda x: 0.6 * (1 - np.exp(-4 * x)))(at)
        jump = rng.normal(0, 0.05 if task == "lesion" else 0.35 / np.sqrt(self.size))
        return {"n": 1.0 if task == "lesion" else float(self.size), PRIMARY[task]: float(usual + jump)}


def make_look(
    step: int,
    losses: Mapping[str, float],
    norms: Mapping[str, float] | None = None,
    weights: Mapping[str, float] | None = None,
    cosines: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """A line of the log with a look at the gradients; norms and weights are 1 where nothing is said."""
    ones = dict.fromkeys(losses, 1.0)
    gradients = {
        "losses": dict(losses),
        "norms": ones | dict(norms or {}),
        "weights": ones | dict(weights or {}),
    }
    return {"step": step, "gradients": {**gradients, "cosines": dict(cosines or {})}}


def make_epochs(losses: Mapping[str, float], epochs: int = 4, per_epoch: int = 10) -> list[dict[str, Any]]:
    """Lines of the log that end an epoch each, all with the same mean losses."""
    return [{"step": (k + 1) * per_epoch, "epoch": k, "loss": dict(losses)} for k in range(epochs)]


def make_chart(
    entries: Sequence[Mapping[str, Any]], tasks: Sequence[str] = ("size", "grade"), **world: Any
) -> DoctorChart:
    """A chart whose one network has this log."""
    return replace(
        World(tasks=tuple(tasks), **world).chart(), courses=(TrainingCurves.of("", tasks, entries),)
    )
