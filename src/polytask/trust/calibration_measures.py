"""How far probabilities are from coming true, without what chance adds."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from polytask.array_types import NAN, Floats

MIN_PER_BIN = 2
MAX_BINS = 15
CELLS = 1000
"""Cells of [0, 1] in which errors are collected before they are smoothed."""
HALVINGS = 20


def compute_debiased_error(p: Floats, happened: Floats) -> float:
    """Compute the root of the squared calibration error of N probabilities, less its bias, in equal bins.

    Σ (n_b / n) [(p̄_b − ȳ_b)² − ȳ_b (1 − ȳ_b) / (n_b − 1)] (Kumar, Liang and Ma 2019); 0 where chance explains it all.
    """
    if len(p) < MIN_PER_BIN:
        return NAN
    order = np.argsort(p, kind="stable")
    bins = np.array_split(order, min(MAX_BINS, len(p) // MIN_PER_BIN))
    squares = 0.0
    for own in bins:
        observed = happened[own].mean()
        chance = observed * (1 - observed) / (len(own) - 1)
        squares += len(own) / len(p) * ((p[own].mean() - observed) ** 2 - chance)
    return float(np.sqrt(max(squares, 0.0)))


def compute_smooth_error(p: Floats, happened: Floats) -> float:
    """Compute the smooth calibration error (Błasiok and Nakkiran 2023), which needs no bins.

    The errors y − p are smoothed along p by a Gaussian of the width σ, reflected at 0 and 1, and their absolute values
    are added up; the error is reported at the width that equals it.
    """
    if not len(p):
        return NAN
    # The errors are first collected in narrow cells: a Gaussian over cells costs the same for any number of answers.
    cell = np.minimum((p * CELLS).astype(np.int64), CELLS - 1)
    errors = np.bincount(cell, happened - p, CELLS) / len(p)

    def smooth(width: float) -> float:
        return float(np.abs(gaussian_filter1d(errors, width * CELLS, mode="reflect")).sum())

    low, high = 1e-3, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if smooth(middle) > middle else (low, middle)
    return high
