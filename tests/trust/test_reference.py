"""Scores, ranks and intervals against other people's code, whose answers stand here as constants."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.trust.class_sets import score_classes
from polytask.trust.conformal import compute_rank_p_values
from polytask.trust.number_intervals import make_intervals, score_numbers

FIRST_TWO = [
    *([0.492, 0.186], [0.533, 0.03], [0.788, 0.141], [0.307, 0.335], [0.059, 0.568], [0.77, 0.198]),
    *([0.14, 0.182], [0.043, 0.124], [0.158, 0.311], [0.023, 0.976], [0.635, 0.275], [0.276, 0.519]),
]
KNOWN = np.array([[a, b, 1 - a - b] for a, b in FIRST_TWO])
TRUTH = np.array([0, 1, 2] * 4)
NEW = np.array([[0.144, 0.362, 0.494], [0.348, 0.359, 0.293], [0.61, 0.386, 0.004]])


def test_scores_are_those_of_mapie() -> None:
    """MAPIE 1.6.0, `APSConformityScore.get_true_label_cumsum_proba`."""
    expected = [0.492, 1.0, 1.0, 1.0, 0.568, 1.0, 1.0, 0.957, 0.531, 0.999, 0.91, 1.0]
    assert score_classes(KNOWN)[np.arange(12), TRUTH] == pytest.approx(expected)


def test_p_values_within_classes_are_those_of_crepes() -> None:
    """crepes 0.9.1, `ConformalClassifier` with `hinge` scores and a bin per class, `smoothing=False`."""
    expected = [[0.6, 0.8, 0.8], [0.8, 0.8, 0.8], [1.0, 0.8, 0.2]]
    known = 1 - KNOWN[np.arange(12), TRUTH]
    found = [compute_rank_p_values([1 - NEW[:, k]], [known[k == TRUTH]]) for k in range(3)]
    assert np.stack(found, 1) == pytest.approx(np.array(expected))


def test_intervals_are_those_of_crepes() -> None:
    """crepes 0.9.1, `ConformalRegressor` with `sigmas`, confidence 0.8."""
    errors = np.array([0.256, 0.962, 1.181, 0.738, 1.099, 0.331, 0.84, 1.449, 0.568, 2.432, 0.642, 0.845])
    spread = np.array([1.196, 0.833, 1.461, 0.661, 1.538, 1.453, 1.065, 1.698, 0.791, 1.086, 1.697, 1.071])
    scores = score_numbers(np.zeros(12), errors, spread)
    low, high = make_intervals([np.array([10.0, 20.0])], [np.array([1.0, 2.0])], [scores], 0.2)
    assert low == pytest.approx([8.84513806, 17.69027611])
    assert high == pytest.approx([11.15486194, 22.30972389])
