"""What kinds with one number in one column share: strata by bands of the values, arrays, and what a fold needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from polytask.kinds.kind import Arrays, TrainNeed

BAND_COUNT = 3
"""Subjects are stratified into this many bands of equal size, by their values."""


def list_band_strata(answers: Mapping[str, Sequence[float]]) -> dict[str, set[str]]:
    """List the strata of subjects: subject → the third of all subjects in which its mean value lies, and "" because a
    value is known."""
    # Sorted by name within equal values: the bands must not depend on the order of the table.
    means = {subject: sum(values) / len(values) for subject, values in answers.items() if values}
    ranks = sorted(means, key=lambda s: (means[s], s))
    return {subject: {"", f"band {k * BAND_COUNT // len(ranks) + 1}"} for k, subject in enumerate(ranks)}


def make_number_arrays(values: Sequence[float | None]) -> Arrays:
    """Return (numbers `[N]`, known `[N]`); the number is 0 where the answer is unknown."""
    known = np.array([v is not None for v in values], bool)
    return np.array([0.0 if v is None else v for v in values], np.float32), known


def list_value_needs(stem: str) -> list[TrainNeed]:
    """List what the train part needs: any known answer at all."""
    return [TrainNeed("", stem, "a known value", "fill more cells, or remove the task")]
