"""How far the pooled trunk features of an image lie from those of training images: three distances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from polytask.array_types import Floats, Indices

MIN_TRAINING_CASES = 5
"""Fewer of them are nothing to compare with."""
MIN_OF_CLASS = 3
NEIGHBOR = 5
"""The distance to this neighbor counts."""
SMALLEST_SPREAD = 1e-6
DISTANCES = ("mahalanobis", "relative", "neighbors")


@dataclass(frozen=True)
class TrunkReference:
    """The features of the training images of one image input, as one run sees them.

    Args:
        vectors: `[n, d]`.
        classes: task → class of each image `[n]`, −1 where it is not known; only tasks of which two classes are known
            often enough.
        shrinkages: of the covariance of all, and then of each task within its classes (Ledoit and Wolf 2004).
    """

    vectors: Floats
    classes: dict[str, Indices]
    shrinkages: dict[str, float]

    @classmethod
    def fit(cls, vectors: Floats, classes: Mapping[str, Indices]) -> TrunkReference:
        """Fit the shrinkages for the features of training images `[n, d]`."""
        usable = {name: own for name, own in classes.items() if len(list_classes(own)) > 1}
        bare = cls(vectors, usable, {})
        residuals = {"": bare.scaled} | {name: bare.center_classes(name)[0] for name in usable}
        shrinkages = {name: find_shrinkage(own) for name, own in residuals.items()}
        return cls(vectors, usable, shrinkages)

    @cached_property
    def scaled(self) -> Floats:
        """The vectors with mean 0 and deviation 1 in every feature."""
        return np.asarray((self.vectors - self._mean) / self._spread)

    @cached_property
    def _mean(self) -> Floats:
        return np.asarray(self.vectors.mean(0))

    @cached_property
    def _spread(self) -> Floats:
        return np.asarray(np.maximum(self.vectors.std(0), SMALLEST_SPREAD))

    @cached_property
    def _all(self) -> ShrunkNormal:
        return ShrunkNormal.fit(self.scaled, self.shrinkages[""])

    @cached_property
    def _within(self) -> dict[str, tuple[ShrunkNormal, Floats]]:
        """Task → the distribution within its classes, and the means of these."""
        fitted = {}
        for name in self.classes:
            residuals, means = self.center_classes(name)
            fitted[name] = ShrunkNormal.fit(residuals, self.shrinkages[name]), means
        return fitted

    def center_classes(self, task: str) -> tuple[Floats, Floats]:
        """Subtract from each vector of known class the mean of its class → (residuals `[m, d]`, means `[K, d]`)."""
        own = self.classes[task]
        means = {k: self.scaled[own == k].mean(0) for k in list_classes(own)}
        residuals = np.concatenate([self.scaled[own == k] - mean for k, mean in means.items()])
        return residuals, np.stack(list(means.values()))

    def measure(self, vector: Floats) -> dict[str, float]:
        """Measure how far features `[d]` lie from those of training.

        - mahalanobis: squared, from the mean of all, with the shrunk covariance of all.
        - relative: from the nearest class less that from all, as a mean over tasks with classes (Ren et al. 2021).
        - neighbors: to the fifth nearest training image (Sun et al. 2022, there of vectors of length 1).

        All on features that are scaled to mean 0 and deviation 1 in training.
        """
        x = (vector - self._mean) / self._spread
        far = self._all.measure_distance(x)
        measured = {"mahalanobis": far, "neighbors": self._measure_neighbor(x)}
        relative = [
            min(within.measure_distance(x - mean) for mean in means) - far
            for within, means in self._within.values()
        ]
        return measured | ({"relative": float(np.mean(relative))} if relative else {})

    def _measure_neighbor(self, x: Floats) -> float:
        distances = np.sort(np.linalg.norm(self.scaled - x, axis=1))
        return float(distances[min(NEIGHBOR, len(distances)) - 1])


@dataclass(frozen=True)
class ShrunkNormal:
    """A normal distribution with mean 0 whose covariance (1 − s)·S + s·μ·I is kept by its few axes.

    Args:
        axes: `[r, d]`. variances: along the axes `[r]`. rest: the variance along all others.
    """

    axes: Floats
    variances: Floats
    rest: float

    @classmethod
    def fit(cls, centered: Floats, shrinkage: float) -> ShrunkNormal:
        """Fit vectors `[n, d]` with mean 0; μ is the mean variance of their features."""
        _, singular, axes = np.linalg.svd(centered, full_matrices=False)
        variances = singular**2 / len(centered)
        level = shrinkage * float(variances.sum()) / centered.shape[1]
        floor = SMALLEST_SPREAD * max(1.0, float(variances.max(initial=0.0)))
        return cls(axes, np.maximum((1 - shrinkage) * variances + level, floor), max(level, floor))

    def measure_distance(self, x: Floats) -> float:
        """Measure the squared Mahalanobis distance of `[d]` from 0."""
        along = self.axes @ x
        beside = max(0.0, float(x @ x) - float(along @ along))
        return float((along**2 / self.variances).sum()) + beside / self.rest


def list_classes(classes: Indices) -> list[int]:
    """List the classes that are known often enough."""
    found = {int(k): int((classes == k).sum()) for k in np.unique(classes) if k >= 0}
    return [k for k, count in found.items() if count >= MIN_OF_CLASS]


def find_shrinkage(centered: Floats) -> float:
    """Find the share of the identity in the covariance of vectors `[n, d]` with mean 0 (Ledoit and Wolf 2004): the one
    that is expected to come nearest to the true covariance."""
    count, features = centered.shape
    lengths = (centered**2).sum(1)
    level = float(lengths.sum()) / count / features
    # ‖XᵀX‖² = ‖XXᵀ‖², which is small where there are few vectors of many features.
    square = float(((centered @ centered.T) ** 2).sum()) / count**2
    noise = (float((lengths**2).sum()) / count - square) / count / features
    away = square / features - level**2
    return min(noise, away) / away if away > 0 and noise > 0 else 0.0
