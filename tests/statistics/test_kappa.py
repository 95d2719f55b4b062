from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from polytask.statistics.kappa import find_kappa_influence, find_kappa_interval
from polytask.statistics.unseen_subject import draw_weights

R = np.random.default_rng(0)


def tables(truth: np.ndarray, answer: np.ndarray, classes: int) -> np.ndarray:
    found = np.zeros((truth.size, classes, classes))
    found[np.arange(truth.size), truth, answer] = 1
    return found


def grades(n: int, noise: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    latent = R.normal(size=n)
    return np.digitize(latent, [-0.5, 0.5]), np.digitize(latent + noise * R.normal(size=n), [-0.5, 0.5])


def test_influence_is_the_derivative_of_kappa() -> None:
    truth, answer = grades(50)
    influence, step = find_kappa_influence(tables(truth, answer, 3)), 1e-5
    for k in range(0, 50, 7):
        weights = np.ones(50)
        weights[k] += step
        more, less = (
            cohen_kappa_score(truth, answer, weights="quadratic", sample_weight=w)
            for w in (weights, np.ones(50))
        )
        assert influence[k] == pytest.approx((more - less) / step, abs=1e-5)
    assert influence.sum() == pytest.approx(0, abs=1e-12)


def test_interval_is_that_of_the_large_sample_for_many() -> None:
    truth, answer = grades(4000)
    t = tables(truth, answer, 3)
    kappa, error = (
        cohen_kappa_score(truth, answer, weights="quadratic"),
        np.sqrt((find_kappa_influence(t) ** 2).sum()),
    )
    low, high = find_kappa_interval(t, resamples=2000)
    assert (low, high) == pytest.approx(
        (kappa - 1.96 * error, kappa + 1.96 * error), abs=0.15 * error + 0.001
    )


def test_all_right_is_not_certainty() -> None:
    truth = np.arange(30) % 3
    low, high = find_kappa_interval(tables(truth, truth, 3))
    assert 0.6 < low < 0.95
    assert high == 1
    low, high = find_kappa_interval(tables(np.array([0, 0, 2]), np.array([2, 2, 0]), 3))
    assert low == -1, "κ is never below −1, with an unseen case either"
    assert np.isfinite(find_kappa_interval(tables(np.array([0, 2]), np.array([0, 2]), 3))).all(), (
        "two are enough"
    )
    assert np.isnan(find_kappa_interval(np.zeros((3, 2, 2)))).all()


def test_coverage() -> None:
    truth, answer = grades(200_000)
    expected, held = cohen_kappa_score(truth, answer, weights="quadratic"), 0
    for _ in range(300):
        low, high = find_kappa_interval(tables(*grades(30), 3), resamples=300)
        held += low <= expected <= high
    assert held / 300 > 0.93


def test_an_interval_by_its_definition() -> None:
    """Each resample with an unseen case that is as common as the classes are, and costs twice chance or nothing."""
    truth, answer = grades(12)
    cost = (np.arange(3)[:, None] - np.arange(3)[None]) ** 2.0
    rows, columns = np.bincount(truth, minlength=3) / 12, np.bincount(answer, minlength=3) / 12
    lower, upper = [], []
    for drawn, unseen in draw_weights(12, 60, 5, weight_factor=2.0):
        for weights, (extra,) in zip(drawn, unseen, strict=True):
            total = weights.sum() + extra
            r = (np.bincount(truth, weights, 3) + extra * rows) / total
            c = (np.bincount(answer, weights, 3) + extra * columns) / total
            seen, chance = weights @ ((truth - answer) ** 2), r @ cost @ c
            lower.append(1 - (seen + extra * 2 * (rows @ cost @ columns)) / total / chance)
            upper.append(1 - seen / total / chance)
    expected = max(-1.0, np.quantile(lower, 0.05)), min(1.0, np.quantile(upper, 0.95))
    assert find_kappa_interval(tables(truth, answer, 3), 0.9, 60, 5) == pytest.approx(expected)


def test_several_cases_of_a_subject_are_drawn_together() -> None:
    truth, answer = grades(12)
    once = find_kappa_interval(tables(truth, answer, 3), resamples=60)
    assert find_kappa_interval(3 * tables(truth, answer, 3), resamples=60) == pytest.approx(once)
    padded = np.concatenate([tables(truth, answer, 3), np.zeros((2, 3, 3))])
    assert find_kappa_interval(padded, resamples=60) == pytest.approx(once)
    assert np.isnan(find_kappa_interval(tables(truth[:1], answer[:1], 3))).all()
