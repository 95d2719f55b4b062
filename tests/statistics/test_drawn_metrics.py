"""Each metric on many resamples at once is what it is on each resample alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from polytask.statistics import drawn_metrics
from polytask.statistics.drawn_metrics import (
    compute_drawn_areas,
    compute_drawn_concordances,
    compute_drawn_kappas,
    compute_drawn_r2s,
    count_drawn_cases,
)
from polytask.statistics.influence import (
    find_auc_shares,
    find_concordance_shares,
    find_kappa_shares,
    find_r2_shares,
)

R = np.random.default_rng(3)
DRAWS = {
    "auc": (find_auc_shares, compute_drawn_areas),
    "c": (find_concordance_shares, compute_drawn_concordances),
    "kappa": (find_kappa_shares, compute_drawn_kappas),
    "r2": (find_r2_shares, compute_drawn_r2s),
}


def draw_columns(metric: str, n: int) -> tuple[np.ndarray, ...]:
    """Scores and truths with ties; the positives, events and upper grades are few."""
    return {
        "auc": (R.integers(0, 6, n) / 3, R.random(n) < 0.2),
        "c": (R.integers(0, 6, n) / 3, R.integers(1, 8, n) * 1.0, R.random(n) < 0.3),
        "kappa": (np.minimum(R.integers(0, 5, n), R.integers(0, 9, n)), R.integers(0, 5, n)),
        "r2": (R.normal(50, 3, n), R.normal(50, 3, n)),
    }[metric]


def compute_one_by_one(
    shares: Callable[..., tuple[float, np.ndarray]], columns: tuple[np.ndarray, ...], counts: np.ndarray
) -> np.ndarray:
    every = [np.repeat(np.arange(counts.shape[1]), c.astype(int)) for c in counts]
    return np.array([shares(*(column[rows] for column in columns))[0] for rows in every])


@pytest.mark.parametrize("metric", DRAWS)
@pytest.mark.parametrize("n", [1, 2, 3, 5, 40])
def test_all_resamples_at_once_are_as_each_alone(
    metric: str, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawn_metrics, "CASES_PER_BLOCK", 7)
    shares, drawn = DRAWS[metric]
    columns = draw_columns(metric, n)
    counts = R.multinomial(n, [1 / n] * n, size=60).astype(float)
    wanted = compute_one_by_one(shares, columns, counts)
    np.testing.assert_allclose(drawn(*columns, counts), wanted, rtol=1e-12, atol=1e-12)
    if n == 40:
        assert np.isfinite(wanted).any()
        assert len(set(wanted)) > 20


@pytest.mark.parametrize("metric", ["auc", "c"])
def test_a_score_that_is_no_number_spoils_only_resamples_that_hold_it(metric: str) -> None:
    shares, drawn = DRAWS[metric]
    scores, *truth = draw_columns(metric, 30)
    scores[4] = np.nan
    counts = R.multinomial(30, [1 / 30] * 30, size=40).astype(float)
    counts[:20, 4] = 0
    found, holds_it = drawn(scores, *truth, counts), counts[:, 4] > 0
    assert np.isnan(found[holds_it]).all()
    without = compute_one_by_one(shares, (scores, *truth), counts[~holds_it])
    np.testing.assert_allclose(found[~holds_it], without, rtol=1e-12)
    assert holds_it.any()
    assert np.isfinite(without).any()


def test_a_subject_that_was_drawn_twice_has_all_its_cases_twice() -> None:
    counts = np.array([[2.0, 0, 1], [0, 3, 0]])
    found = count_drawn_cases(counts, np.array([0, 0, 2, 1]))
    assert found.tolist() == [[2, 2, 1, 0], [0, 0, 0, 3]]
