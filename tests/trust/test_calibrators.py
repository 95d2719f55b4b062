"""Calibrators find what was done to probabilities, keep their order, and are the fit of a reference."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from polytask.array_types import Floats
from polytask.trust import calibrators
from polytask.trust.calibrators import CALIBRATORS, Calibrator, fit_calibrator, measure_log_loss


def squash(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))


def draw_classes(random: np.random.Generator, p: Floats) -> Floats:
    return np.asarray((random.uniform(size=(len(p), 1)) > p.cumsum(1)).sum(1), dtype=np.float64)


def test_a_temperature_is_found_again() -> None:
    """Answers three times too sure: log p divided by 3 are the chances that the classes are drawn with."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 1, (4000, 3))
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    sure = np.exp(3 * logits) / np.exp(3 * logits).sum(1, keepdims=True)
    fitted = fit_calibrator("temperature", sure, draw_classes(random, true), np.ones(4000, bool))
    ((shift, slope),) = fitted.numbers
    assert shift == 0
    assert np.exp(-slope) == pytest.approx(3, rel=0.05)
    assert fitted.apply(sure) == pytest.approx(true, abs=0.03)
    assert (fitted.apply(sure).argmax(1) == sure.argmax(1)).all()


def test_labels_are_those_of_a_logistic_regression(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrators, "PRIOR_WEIGHT", 0.0)
    random = np.random.default_rng(1)
    p = random.uniform(0.05, 0.95, (400, 2))
    logits = np.log(p / (1 - p))
    truth = (random.uniform(size=p.shape) < squash(logits * [0.5, 2.0] + [1.0, -1.0])).astype(np.float64)
    known = random.uniform(size=p.shape) < 0.8
    fitted = fit_calibrator("labels", p, truth, known)
    for k, (shift, slope) in enumerate(fitted.numbers):
        seen = known[:, k]
        reference = LogisticRegression(C=np.inf, tol=1e-8).fit(logits[seen, k : k + 1], truth[seen, k])
        assert shift == pytest.approx(reference.intercept_[0], abs=1e-3)
        assert np.exp(slope) == pytest.approx(reference.coef_[0, 0], rel=1e-3)


def test_cut_points_are_moved_back() -> None:
    random = np.random.default_rng(2)
    center = random.normal(0, 1.5, (4000, 1))
    passed = squash(center - np.array([[-1.0, 0.0, 1.5]]))
    ends = np.concatenate([np.ones((4000, 1)), passed, np.zeros((4000, 1))], 1)
    true = ends[:, :-1] - ends[:, 1:]
    moved = Calibrator("cut_points", ((0.7, 0.4),)).apply(true)
    assert moved.sum(1) == pytest.approx(np.ones(4000))
    fitted = fit_calibrator("cut_points", moved, draw_classes(random, true), np.ones(4000, bool))
    # logit = 0.7 + e^0.4 · logit of the truth, so that the way back has the slope e^−0.4 and the shift −0.7 · e^−0.4.
    assert fitted.numbers[0] == pytest.approx((-0.7 * np.exp(-0.4), -0.4), abs=0.08)
    assert fitted.apply(moved) == pytest.approx(true, abs=0.03)


@pytest.mark.parametrize("name", list(CALIBRATORS))
def test_nothing_known_changes_nothing(name: str) -> None:
    p = np.array([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]])
    shape = p.shape if name == "labels" else (2,)
    fitted = fit_calibrator(name, p, np.zeros(shape), np.zeros(shape, bool))
    assert fitted.apply(p) == pytest.approx(p)


@pytest.mark.parametrize("name", list(CALIBRATORS))
def test_answers_that_are_always_right_stay_finite(name: str) -> None:
    p = np.tile([[0.0, 1.0], [1.0, 0.0]], (10, 1))
    truth = np.tile([1.0, 0.0], 10)
    both = np.stack([1 - truth, truth], 1)
    fitted = fit_calibrator(
        name, p, both if name == "labels" else truth, np.ones((20, 2) if name == "labels" else 20, bool)
    )
    assert np.isfinite(fitted.numbers).all()
    assert ((fitted.apply(p) >= 0) & (fitted.apply(p) <= 1)).all()


def test_log_losses_by_hand() -> None:
    p = np.array([[0.25, 0.75], [0.5, 0.5]])
    assert measure_log_loss(p, np.array([1.0, 0.0])) == pytest.approx([-np.log(0.75), -np.log(0.5)])
    labels = measure_log_loss(p, np.array([[0.0, 1.0], [1.0, 1.0]]))
    assert labels == pytest.approx([-np.log(0.75), -np.log(0.5)])
