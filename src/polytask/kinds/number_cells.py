"""Tasks whose answer is one number in one column: strata by bands of the values, arrays, what a fold needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from polytask.kinds.kind import Arrays, Need

BANDS = 3
"""Subjects are stratified by that many equal parts of the values."""


def list_bands(answers: Mapping[str, Sequence[float]]) -> dict[str, set[str]]:
    """Subject → the third of all known values that the mean of its own belongs to, and "" because one is known."""
    means = {subject: sum(values) / len(values) for subject, values in answers.items() if values}
    ranks = sorted(means, key=lambda s: (means[s], s))
    return {subject: {"", f"band {k * BANDS // len(ranks) + 1}"} for k, subject in enumerate(ranks)}


def make_number_arrays(values: Sequence[float | None]) -> Arrays:
    """The number `[N]`."""
    known = np.array([v is not None for v in values], bool)
    return np.array([0.0 if v is None else v for v in values], np.float32), known


def need_a_value(stem: str) -> list[Need]:
    """Any known answer at all."""
    return [Need("", stem, "a known value", "fill more cells, or remove the task")]
