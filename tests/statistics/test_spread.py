from __future__ import annotations

import numpy as np
import pytest

from polytask.statistics.draws import draw
from polytask.statistics.spread import covariance

R = np.random.default_rng(5)


def test_of_means_it_is_the_covariance_over_n() -> None:
    x = R.normal(size=(3, 25)) + R.normal(size=25)
    weights = draw(25, 20_000, 1).weights
    found = covariance(x @ weights.T / 25, weights)
    np.testing.assert_allclose(found, np.cov(x) / 25, rtol=0.05)
    plain = np.cov(x @ weights.T / 25) * 25 / 24
    np.testing.assert_allclose(found, plain, rtol=1e-9)  # nothing was taken off


def gaps(studies: int, m: int, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differences of two AUCs on the same m positives and m negatives, and those on resamples."""
    own = R.normal(size=(studies, 1, 2 * m))
    s = 1.2 * (np.arange(2 * m) < m) + own + 0.7 * R.normal(size=(studies, 2, 2 * m))
    wins = (s[..., :m, None] > s[..., None, m:]).astype(float)
    gap = wins[:, 0] - wins[:, 1]
    p, q = weights[:, :m], weights[:, m:]
    count = p.sum(1) * q.sum(1)
    drawn = np.einsum("spb,bp->sb", gap @ q.T, p) / np.where(count > 0, count, np.nan)
    return gap.mean((1, 2)), drawn[:, None]


def test_of_areas_it_is_the_variance_that_they_have() -> None:
    """Ten positives and ten negatives: the bootstrap says a fifth too much, this says what is seen over studies."""
    weights = draw(20, 300, 2).weights
    effects, drawn = gaps(4000, 10, weights)
    truth = effects.var()
    assert np.nanvar(drawn, axis=-1).mean() / truth > 1.12
    assert covariance(drawn, weights).mean() / truth == pytest.approx(1, abs=0.07)


def test_a_batch_is_each_of_them() -> None:
    weights = draw(12, 200, 3).weights
    _, drawn = gaps(4, 6, weights)
    usable = np.isfinite(drawn).all((0, 1))
    found = covariance(drawn[..., usable], weights[usable])
    for k in range(4):
        np.testing.assert_allclose(found[k], covariance(drawn[k][:, usable], weights[usable]))


def test_few_resamples_and_undefined_ones() -> None:
    x = R.normal(size=(2, 25))
    weights = draw(25, 60, 1).weights  # too few to tell pairs from subjects
    found = covariance((x @ weights.T / 25) ** 2, weights)
    np.testing.assert_allclose(found, np.cov((x @ weights.T / 25) ** 2) * 25 / 24)
    weights = draw(5, 100, 1).weights
    drawn = R.normal(size=(2, 100))
    drawn[1, :51] = np.nan
    assert np.isnan(covariance(drawn, weights)).all()
    drawn[1, :40] = 0.0
    assert np.isfinite(covariance(drawn, weights)).all()
    assert (covariance(np.zeros((2, 100)), weights) == 0).all()
