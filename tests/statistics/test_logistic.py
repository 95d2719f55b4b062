"""Logistic regression against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from polytask.statistics.logistic import fit_logistic


def world(classes: int, n: int = 120, columns: int = 5) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(classes)
    x = random.normal(size=(n, columns))
    return x, (x @ random.normal(size=(columns, classes)) + random.gumbel(size=(n, classes))).argmax(1)


def test_three_classes_are_those_of_scikit_learn() -> None:
    x, y = world(3)
    found = fit_logistic(x, y, 3, 4.0)
    reference = LogisticRegression(C=1 / 4.0, tol=1e-10, max_iter=5000).fit(x, y)
    assert found.coefficients == pytest.approx(reference.coef_, abs=1e-4)
    assert np.exp(found.log_probabilities(x)) == pytest.approx(reference.predict_proba(x), abs=1e-4)


def test_two_classes_are_the_usual_model_with_half_the_penalty() -> None:
    x, y = world(2)
    found = fit_logistic(x, y, 2, 4.0)
    reference = LogisticRegression(C=1 / 2.0, tol=1e-10, max_iter=5000).fit(x, y)
    assert found.coefficients[1] - found.coefficients[0] == pytest.approx(reference.coef_[0], abs=1e-4)


def test_a_class_that_does_not_occur_has_no_probability() -> None:
    x, y = world(2)
    p = np.exp(fit_logistic(x, y, 3, 1.0).log_probabilities(x))
    assert (p[:, 2] == 0).all()
    assert p.sum(1) == pytest.approx(np.ones(len(x)))
    only = fit_logistic(x, np.zeros(len(x)), 2, 1.0)
    assert np.exp(only.log_probabilities(x)) == pytest.approx(np.tile([1.0, 0.0], (len(x), 1)))


def test_more_columns_than_rows() -> None:
    x, y = world(2, 20, 200)
    assert np.isfinite(fit_logistic(x, y, 2, 1.0).coefficients).all()
