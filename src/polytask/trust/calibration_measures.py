"""How far probabilities are from coming true, without what chance adds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.fft import dct, idct

from polytask.array_types import NAN, Floats

MIN_PER_BIN = 2
MAX_BINS = 15
CELLS = 1000
"""Cells of [0, 1] in which errors are collected before they are smoothed."""
HALVINGS = 14
BOOTSTRAP_DRAWS, SMOOTH_DRAWS, CHANCE_DRAWS = 200, 100, 50
"""Resamples of the subjects; smoothing takes most of the time."""


@dataclass(frozen=True)
class ErrorInterval:
    """A calibration error with its 95 % interval over subjects; NaN without probabilities.

    Args:
        chance: the mean error of a perfect model with these probabilities; 0 of an error that has it taken off.
    """

    estimate: float
    low: float
    high: float
    chance: float = 0.0


def compute_debiased_error(p: Floats, happened: Floats) -> float:
    """Compute the root of the squared calibration error of N probabilities, less its bias, in equal bins.

    Σ (n_b / n) [(p̄_b − ȳ_b)² − ȳ_b (1 − ȳ_b) / (n_b − 1)] (Kumar, Liang and Ma 2019); 0 where chance explains it all.
    """
    return float(np.sqrt(max(_compute_squared_errors(p, happened, np.ones((1, len(p))))[0], 0.0)))


def compute_smooth_error(p: Floats, happened: Floats) -> float:
    """Compute the smooth calibration error (Błasiok and Nakkiran 2023), which needs no bins.

    The errors y − p are smoothed along p by a Gaussian of the width σ, reflected at 0 and 1, and their absolute values
    are added up; the error is reported at the width that equals it.
    """
    return float(_compute_smooth_errors(p, happened, np.ones((1, len(p))))[0])


def measure_calibration_errors(
    p: Floats, happened: Floats, subjects: npt.NDArray[np.str_], seed: int = 0
) -> tuple[ErrorInterval, ErrorInterval]:
    """Measure the debiased and the smooth error with intervals from a bootstrap over subjects.

    A resample holds some people twice, so that chance makes its error larger than that of the sample. So only the
    spread of the resamples is taken, around the estimate.
    """
    names, owner = np.unique(subjects, return_inverse=True)
    random = np.random.default_rng(seed)
    counts = random.multinomial(len(names), np.full(len(names), 1 / max(len(names), 1)), BOOTSTRAP_DRAWS)
    weights = np.concatenate([np.ones((1, len(p))), counts[:, owner].astype(np.float64)])
    squares = _recenter(_compute_squared_errors(p, happened, weights))
    smooth = _recenter(_compute_smooth_errors(p, happened, weights[: SMOOTH_DRAWS + 1]))
    perfect = (random.uniform(size=(CHANCE_DRAWS, len(p))) < p).astype(np.float64)
    chance = _find_smooth_widths(np.stack([_collect_errors(p, (y - p) / len(p)) for y in perfect]))
    return (
        _make_interval(np.sqrt(np.maximum(squares, 0.0)), 0.0),
        _make_interval(np.maximum(smooth, 0.0), float(chance.mean())),
    )


def _make_interval(ends: Floats, chance: float) -> ErrorInterval:
    estimate, low, high = (float(x) for x in ends)
    return ErrorInterval(estimate, low, high, chance)


def _recenter(values: Floats) -> Floats:
    """Return the first value, and the middle 95 % of the others moved so that their mean is the first: `[3]`."""
    estimate, drawn = values[0], values[1:]
    low, high = np.quantile(drawn, [0.025, 0.975]) - drawn.mean() + estimate
    return np.array([estimate, min(low, estimate), max(high, estimate)])


def _compute_squared_errors(p: Floats, happened: Floats, weights: Floats) -> Floats:
    """Compute the debiased squared error of each row of weights `[draws, N]`; the bins are those of all answers."""
    if len(p) < MIN_PER_BIN:
        return np.full(len(weights), NAN)
    order = np.argsort(p, kind="stable")
    sizes = [len(own) for own in np.array_split(order, min(MAX_BINS, len(p) // MIN_PER_BIN))]
    starts = np.cumsum([0, *sizes[:-1]])
    w = weights[:, order]
    n, sum_p, sum_y = (np.add.reduceat(w * x, starts, axis=1) for x in (1.0, p[order], happened[order]))
    filled = np.maximum(n, 1.0)
    observed = sum_y / filled
    chance = observed * (1 - observed) / np.maximum(n - 1, 1.0)
    return np.asarray((n * ((sum_p / filled - observed) ** 2 - chance)).sum(1) / n.sum(1))


def _compute_smooth_errors(p: Floats, happened: Floats, weights: Floats) -> Floats:
    """Compute the smooth error of each row of weights `[draws, N]`."""
    if not len(p):
        return np.full(len(weights), NAN)
    return _find_smooth_widths(np.stack([_collect_errors(p, w * (happened - p)) / w.sum() for w in weights]))


def _collect_errors(p: Floats, errors: Floats) -> Floats:
    """Add errors `[N]` up in narrow cells of p."""
    cell = np.minimum((p * CELLS).astype(np.int64), CELLS - 1)
    return np.asarray(np.bincount(cell, errors, CELLS), np.float64)


def _find_smooth_widths(errors: Floats) -> Floats:
    """Find of each row of errors `[draws, CELLS]` the width of smoothing that equals what is left of them."""
    # Cosines are what a Gaussian with reflection only scales, so that smoothing costs the same for any width and any
    # number of answers.
    waves, number = dct(errors, norm="ortho", axis=1), np.pi * np.arange(CELLS)
    low, high = np.full(len(errors), 1e-3), np.ones(len(errors))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        smoothed = idct(waves * np.exp(-((number * middle[:, None]) ** 2) / 2), norm="ortho", axis=1)
        above = np.abs(smoothed).sum(1) > middle
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.asarray(high)
