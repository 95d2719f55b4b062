"""The metric of every run of a fold, on all its subjects and on each resample of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask.errors import PolytaskError
from polytask.statistics.draws import Draws, Floats, Indices, draw

Metric = Callable[[Indices], float]
"""Drawn positions of a fold's subjects → the metric, NaN where it is not defined. A `CaseMean` is much faster."""


@dataclass(frozen=True)
class CaseMean:
    """A metric that is the mean over cases: all resamples are one product of matrices.

    Args:
        sums, counts: of each subject's cases in which it is defined, `[subjects]`.
    """

    sums: Floats
    counts: Floats

    @classmethod
    def of(cls, values: npt.ArrayLike, subject: npt.ArrayLike, subjects: int) -> CaseMean:
        """From values of cases and the position of each one's subject; NaN is not defined."""
        found, who = np.asarray(values, np.float64), np.asarray(subject, np.int64)
        there = np.isfinite(found)
        return cls(
            np.bincount(who[there], found[there], subjects).astype(np.float64),
            np.bincount(who[there], minlength=subjects).astype(np.float64),
        )

    def __call__(self, drawn: Indices) -> float:
        count = float(self.counts[drawn].sum())
        return float(self.sums[drawn].sum()) / count if count else float("nan")

    def many(self, weights: Floats) -> Floats:
        """The mean of each resample `[resamples]`, from how often it holds each subject."""
        count = weights @ self.counts
        return np.where(count > 0, (weights @ self.sums) / np.maximum(count, 1), np.nan)


@dataclass(frozen=True)
class Resampled:
    """A run's metric.

    Args:
        whole: on all subjects, NaN when it is not defined.
        drawn: on each resample `[resamples]`, NaN likewise.
    """

    whole: float
    drawn: Floats


def resampled(metric: Metric | CaseMean, draws: Draws) -> Resampled:
    """The metric on all subjects and on each resample."""
    whole = float(metric(np.arange(draws.subjects, dtype=np.int64)))
    if isinstance(metric, CaseMean):
        return Resampled(whole, metric.many(draws.weights))
    return Resampled(whole, np.array([metric(i) for i in draws.index], np.float64))


Key = tuple[str, int]
"""Arm and seed."""


@dataclass(frozen=True)
class FoldValues:
    """One task in one fold: what every comparison of arms starts from.

    Args:
        fold: its name.
        subjects: who were resampled; each has something known about the task.
        n: known cases, the fold's weight.
        runs: (arm, seed) → its metric, all on the same resamples.
        weights: of those, `Draws.weights`.
    """

    fold: int
    subjects: int
    n: int
    runs: Mapping[Key, Resampled]
    weights: Floats


def fold_values(
    fold: int,
    metrics: Mapping[Key, Metric | CaseMean],
    subjects: int,
    n: int | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> FoldValues:
    """Resample every run of a fold alike. `n` is the number of known cases, by default that of subjects."""
    if subjects < 1:
        raise PolytaskError(f"fold {fold}: no subject to compare runs on; leave the fold out")
    draws = draw(subjects, resamples, (seed, fold))
    runs = {key: resampled(metric, draws) for key, metric in metrics.items()}
    return FoldValues(fold, subjects, subjects if n is None else n, runs, draws.weights)
