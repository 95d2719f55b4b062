"""Calibrates the spread that a network tells of its numbers: one factor, judged on other subjects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats
from polytask.inference.pooled_answers import PooledAnswers

SPLITS = 50
MIN_SUBJECTS = 4
SMALLEST_MEAN_SQUARE = 1e-12


@dataclass(frozen=True)
class SpreadScale:
    """A factor on the spread of one member.

    Args:
        factor: 1 where scaling made the log loss of other subjects worse.
        before, after: mean log loss of the subjects that a half did not fit, without and with its factor.
        n: known answers.
    """

    factor: float
    before: float
    after: float
    n: int


def fit_spread_scale(answers: PooledAnswers, seed: int = 0) -> SpreadScale | None:
    """Fit √(mean z²), z being error / spread; None where no spread is told, or too few subjects are known.

    Judged like calibrators of probabilities: subjects are split in halves, one fits and the other judges.
    """
    if "spread" not in answers.prediction:
        return None
    known = answers.take(np.flatnonzero(answers.known))
    subjects = np.array([subject for subject, _ in known.ids])
    names: npt.NDArray[np.str_] = np.unique(subjects)
    if len(names) < MIN_SUBJECTS:
        return None
    error = np.asarray(known.value - known.prediction["value"], np.float64)
    spread, random = np.asarray(known.prediction["spread"], np.float64), np.random.default_rng(seed)
    losses = []
    for _ in range(SPLITS):
        fit = np.isin(subjects, random.permutation(names)[: len(names) // 2])
        factor = find_factor(error[fit], spread[fit])
        losses.append([measure_normal_loss(error[~fit], f * spread[~fit]) for f in (1.0, factor)])
    before, after = (float(np.mean(own)) for own in zip(*losses, strict=True))
    return SpreadScale(find_factor(error, spread) if after < before else 1.0, before, after, len(known.ids))


def find_factor(error: Floats, spread: Floats) -> float:
    """Find the factor on spreads that makes the errors of a normal distribution most likely."""
    return float(np.sqrt(max(float(np.mean((error / spread) ** 2)), SMALLEST_MEAN_SQUARE)))


def measure_normal_loss(error: Floats, spread: Floats) -> float:
    """Measure the mean of minus the logarithm of a normal density."""
    return float(np.mean(0.5 * (error / spread) ** 2 + np.log(spread) + 0.5 * np.log(2 * np.pi)))


def parse_spread_scale(entry: Mapping[str, Any] | None) -> SpreadScale | None:
    """Parse what `trust.json` says of the spread of a member; files of earlier versions say nothing."""
    if entry is None:
        return None
    factor, before, after = (float(entry[key]) for key in ("factor", "before", "after"))
    if not factor > 0:
        raise ValueError(f"factor {factor:g} of a spread")
    return SpreadScale(factor, before, after, int(entry["n"]))


def describe_spread_scale(scale: SpreadScale) -> str:
    """Describe in a sentence what was fitted."""
    losses = f"log loss of other subjects {scale.before:.3f} → {scale.after:.3f}, n {scale.n}"
    if scale.factor == 1.0:
        return f"spread as told: scaling it made the log loss worse ({losses})"
    return f"spread × {scale.factor:.2f} ({losses})"
