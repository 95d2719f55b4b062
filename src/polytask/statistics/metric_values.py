"""The metric of every run of a fold, and what each subject contributes to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats, Indices
from polytask.errors import PolytaskError
from polytask.statistics.pair_variance import FOLD_RESAMPLES, MAX_PAIRED_SUBJECTS
from polytask.statistics.resample_counts import draw_counts

SubsetMetric = Callable[[Indices], float]
"""Positions of a fold's subjects → the metric on them, NaN where it is not defined."""
DrawnMetric = Callable[[Floats], Floats]
"""How often each resample holds each subject, `[resamples, subjects]` → the metric on each resample `[resamples]`."""


@dataclass(frozen=True)
class Contributions:
    """A metric and what each subject adds to it.

    Args:
        whole: on all subjects, NaN when it is not defined.
        shares: `[subjects]`, of its deviation from the truth; their squares add up to the squared standard error.
        drawn: the metric on resamples of the subjects `[resamples]`, those of `draw_fold_resamples`, for a measure of
            rank in a small fold (`pair_variance`).
    """

    whole: float
    shares: Floats
    drawn: Floats | None = None

    @classmethod
    def of(cls, values: npt.ArrayLike, subject: npt.ArrayLike, subjects: int) -> Contributions:
        """Make the contributions to a mean over cases, from the values and the position of each one's subject; NaN
        means not defined."""
        case_values, who = np.asarray(values, np.float64), np.asarray(subject, np.int64)
        defined = np.isfinite(case_values)
        count = np.bincount(who[defined], minlength=subjects).astype(np.float64)
        if not defined.any():
            return cls(float("nan"), np.full(subjects, np.nan))
        whole = float(case_values[defined].mean())
        off = np.bincount(who[defined], case_values[defined] - whole, subjects)
        return cls(whole, off / count.sum() * np.sqrt(subjects / max(1, subjects - 1)))

    @classmethod
    def by_leaving_out(cls, metric: SubsetMetric, subjects: int) -> Contributions:
        """Make the contributions to any metric, from its values without each subject (the jackknife)."""
        everybody = np.arange(subjects, dtype=np.int64)
        whole = float(metric(everybody))
        if not np.isfinite(whole):
            return cls(whole, np.full(subjects, np.nan))
        without = np.array([metric(np.delete(everybody, k)) for k in range(subjects)], np.float64)
        return cls(whole, (whole - without) * np.sqrt((subjects - 1) / subjects)).with_drawn(metric)

    def with_drawn(self, metric: SubsetMetric) -> Contributions:
        """Add the values of the metric on the resamples of a small fold, computed one by one."""

        def draw_metric(counts: Floats) -> Floats:
            everybody = np.arange(counts.shape[1])
            return np.array([metric(np.repeat(everybody, c)) for c in counts.astype(np.int64)], np.float64)

        return self.with_drawn_together(draw_metric)

    def with_drawn_together(self, draw_metric: DrawnMetric) -> Contributions:
        """Add the values of the metric on the resamples of a small fold, computed all at once."""
        n = len(self.shares)
        if not 1 < n <= MAX_PAIRED_SUBJECTS or not np.isfinite(self.whole):
            return self
        return replace(self, drawn=draw_metric(draw_fold_resamples(n)))

    @property
    def values(self) -> Floats:
        """Values of the subjects, whose mean is the metric and whose spread is its standard error, `[subjects]`."""
        n = len(self.shares)
        return np.asarray(self.whole + np.sqrt(n * max(1, n - 1)) * (self.shares - self.shares.mean()))


def draw_fold_resamples(subjects: int) -> Floats:
    """Draw how often each resample holds each subject `[resamples, subjects]`: the same for all runs of a fold."""
    return np.concatenate(list(draw_counts(subjects, FOLD_RESAMPLES)))


RunKey = tuple[str, int]
"""Arm and seed."""


@dataclass(frozen=True)
class FoldValues:
    """One task in one fold: what every comparison of arms starts from.

    Args:
        fold: its name.
        subjects: who was judged; something about the task is known of each.
        n: known cases, the weight of the fold.
        runs: (arm, seed) → its metric, all on the same subjects.
        rare: what the metric rests on where that is rarer than cases → how many, e.g. `{"events": 12}`.
    """

    fold: int
    subjects: tuple[str, ...]
    n: int
    runs: Mapping[RunKey, Contributions]
    rare: Mapping[str, int] = field(default_factory=dict)


def make_fold_values(
    fold: int,
    metrics: Mapping[RunKey, SubsetMetric | Contributions],
    subjects: Sequence[str],
    n: int | None = None,
    rare: Mapping[str, int] | None = None,
) -> FoldValues:
    """Bring every run of a fold into one form. `n` is the number of known cases, by default that of subjects."""
    who = tuple(subjects)
    if not who:
        raise PolytaskError(f"fold {fold}: no subject to compare runs on; leave the fold out")
    runs = {
        key: metric if isinstance(metric, Contributions) else Contributions.by_leaving_out(metric, len(who))
        for key, metric in metrics.items()
    }
    return FoldValues(fold, who, len(who) if n is None else n, runs, dict(rare or {}))
