"""Measures of a table of truths and answers, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.tasks.confusion import (
    average_over_classes,
    build_confusion_matrix,
    compute_accuracy,
    compute_f1,
    compute_quadratic_kappa,
    compute_sensitivity,
    compute_specificity,
)

TABLE = np.array([[5.0, 1.0, 0.0], [2.0, 3.0, 1.0], [0.0, 0.0, 4.0]])


def test_rows_are_truths_and_columns_answers() -> None:
    found = build_confusion_matrix([0, 0, 1, 2, 2], [0, 1, 1, 2, 0], 3)
    assert found.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert build_confusion_matrix([], [], 2).tolist() == [[0, 0], [0, 0]]


def test_measures_by_hand() -> None:
    assert compute_accuracy(TABLE) == 12 / 16
    assert compute_sensitivity(TABLE, 0) == 5 / 6
    assert compute_specificity(TABLE, 0) == 8 / 10
    assert compute_specificity(TABLE, 2) == 11 / 12
    assert compute_f1(TABLE, 1) == 2 * 3 / (6 + 4)
    assert average_over_classes([0.5, 1.0]) == 0.75


def test_what_does_not_occur_has_no_measure() -> None:
    one = np.array([[1.0, 0.0], [0.0, 0.0]])
    assert (compute_sensitivity(one, 0), compute_accuracy(one), compute_f1(one, 0)) == (1.0, 1.0, 1.0)
    assert np.isnan([compute_sensitivity(one, 1), compute_specificity(one, 0), compute_f1(one, 1)]).all()
    assert compute_specificity(one, 1) == 1.0
    assert np.isnan(
        [
            compute_accuracy(np.zeros((2, 2))),
            average_over_classes([]),
            average_over_classes([1.0, float("nan")]),
        ]
    ).all()


def test_a_class_that_is_never_found_has_an_f1_of_nothing() -> None:
    assert compute_f1(np.array([[3.0, 0.0], [2.0, 0.0]]), 1) == 0.0


def test_kappa_weighs_a_miss_by_the_square_of_its_distance() -> None:
    """Truths 0, 2, 2 answered 0, 2, 0: 4 of misses; by chance (1·2·0 + 1·1·4 + 2·2·4 + 2·1·0) / 3."""
    found = compute_quadratic_kappa(build_confusion_matrix([0, 2, 2], [0, 2, 0], 3))
    assert found == pytest.approx(1 - 4 / (20 / 3))
    assert np.isnan(compute_quadratic_kappa(build_confusion_matrix([1, 1], [0, 1], 3)))
    assert compute_quadratic_kappa(build_confusion_matrix([0, 1], [0, 1], 2)) == 1.0
