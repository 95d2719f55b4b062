from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polytask.errors import PolytaskError
from polytask.statistics.draws import draw
from polytask.statistics.values import CaseMean, fold_values, resampled


@given(n=st.integers(1, 9), seed=st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_weights_count_the_drawn(n: int, seed: int) -> None:
    draws = draw(n, 20, seed)
    assert (draws.weights.sum(1) == n).all()
    for index, weights in zip(draws.index, draws.weights, strict=True):
        assert weights.tolist() == [(index == k).sum() for k in range(n)]


def test_draws_are_a_function_of_seed_and_fold() -> None:
    assert (draw(9, 30, (1, 2)).index == draw(9, 30, (1, 2)).index).all()
    assert (draw(9, 30, (1, 2)).index != draw(9, 30, (1, 3)).index).any()
    assert (draw(9, 30, (1, 2)).index != draw(9, 30, (2, 2)).index).any()


@given(
    values=st.lists(st.one_of(st.none(), st.floats(-5, 5)), min_size=1, max_size=12),
    seed=st.integers(0, 20),
)
@settings(max_examples=60, deadline=None)
def test_the_fast_mean_is_the_mean_over_the_drawn_cases(values: list[float | None], seed: int) -> None:
    """Several cases per subject, some not defined; the matrix says what the plain function says."""
    x = np.array([np.nan if v is None else v for v in values])
    subject = np.arange(len(x)) // 2
    n = int(subject.max()) + 1
    rows = [np.flatnonzero(subject == k) for k in range(n)]

    def plainly(drawn: np.ndarray) -> float:
        found = x[np.concatenate([rows[i] for i in drawn])]
        found = found[np.isfinite(found)]
        return float(found.mean()) if len(found) else float("nan")

    draws = draw(n, 25, seed)
    fast, slow = resampled(CaseMean.of(x, subject, n), draws), resampled(plainly, draws)
    assert fast.whole == pytest.approx(slow.whole, nan_ok=True)
    np.testing.assert_allclose(fast.drawn, slow.drawn, atol=1e-12)


def test_all_runs_of_a_fold_see_the_same_resamples() -> None:
    x = np.random.default_rng(0).normal(size=12)
    metrics = {
        ("a", 0): lambda i: float(x[i].mean()),
        ("b", 0): CaseMean.of(x + 1, np.arange(12), 12),
    }
    found = fold_values(4, metrics, 12, resamples=50)
    assert found.n == found.subjects == 12
    np.testing.assert_allclose(found.runs["b", 0].drawn - found.runs["a", 0].drawn, 1.0)
    with pytest.raises(PolytaskError, match="fold 4: no subject"):
        fold_values(4, metrics, 0)
