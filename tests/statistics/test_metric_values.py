from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polytask.errors import PolytaskError
from polytask.statistics.metric_values import Contributions, draw_fold_resamples, make_fold_values

R = np.random.default_rng(4)


def test_shares_of_a_mean_are_its_standard_error() -> None:
    x = R.normal(3, 1, size=14)
    found = Contributions.of(x, range(14), 14)
    assert found.whole == pytest.approx(x.mean())
    assert (found.shares**2).sum() == pytest.approx(x.var(ddof=1) / 14)
    assert found.values == pytest.approx(x)


def test_leaving_out_says_the_same_of_a_mean() -> None:
    x = R.normal(size=9)
    slow = Contributions.by_leaving_out(lambda i: float(x[i].mean()), 9)
    assert slow.values == pytest.approx(x)
    assert slow.whole == pytest.approx(x.mean())


@given(
    values=st.lists(st.one_of(st.none(), st.floats(-5, 5)), min_size=4, max_size=12),
)
@settings(max_examples=60, deadline=None)
def test_cases_of_a_subject_belong_together(values: list[float | None]) -> None:
    """Several cases per subject, some not defined: values that average to the mean over cases."""
    x = np.array([np.nan if v is None else v for v in values])
    subject = np.arange(len(x)) // 2
    n = int(subject.max()) + 1
    found = Contributions.of(x, subject, n)
    there = np.isfinite(x)
    assert found.whole == pytest.approx(x[there].mean() if there.any() else np.nan, nan_ok=True)
    if there.any():
        assert found.values.mean() == pytest.approx(found.whole, abs=1e-9)
        for k in range(n):
            mine = x[(subject == k) & there]
            off = (mine - found.whole).sum() / there.sum() * n
            assert found.values[k] == pytest.approx(found.whole + off, abs=1e-9)


def test_a_metric_that_needs_every_subject_has_no_shares() -> None:
    truth = np.arange(6) < 1

    def area(i: np.ndarray) -> float:
        return 0.8 if truth[i].any() else float("nan")

    found = Contributions.by_leaving_out(area, 6)
    assert found.whole == 0.8
    assert np.isnan(found.values).any()
    assert np.isnan(Contributions.of([np.nan], [0], 1).whole)


def test_all_runs_of_a_fold_have_the_same_subjects() -> None:
    x = R.normal(size=12)
    metrics = {
        ("a", 0): lambda i: float(x[i].mean()),
        ("b", 0): Contributions.of(x + 1, np.arange(12), 12),
    }
    found = make_fold_values(4, metrics, [f"s{k}" for k in range(12)])
    assert (found.n, len(found.subjects)) == (12, 12)
    np.testing.assert_allclose(found.runs["b", 0].values - found.runs["a", 0].values, 1.0)
    with pytest.raises(PolytaskError, match="fold 4: no subject"):
        make_fold_values(4, metrics, [])


def test_small_folds_keep_their_resamples() -> None:
    x = R.normal(size=251)
    few = Contributions.by_leaving_out(lambda i: float(x[i].mean()), 6)
    assert few.drawn is not None
    assert few.drawn.shape == (1000,)
    counts = draw_fold_resamples(6)
    assert few.drawn == pytest.approx(counts @ x[:6] / 6)
    plain = Contributions(0.5, np.zeros(251))
    assert plain.with_drawn(lambda i: 1.0).drawn is None
    assert Contributions(0.5, np.zeros(250)).with_drawn(lambda i: 1.0).drawn is not None
    assert Contributions(0.5, np.zeros(1)).with_drawn(lambda i: 1.0).drawn is None
    assert Contributions(float("nan"), np.zeros(6)).with_drawn(lambda i: 1.0).drawn is None


def test_visits_count_by_subject_by_hand() -> None:
    """Values 1 and 3 of one subject, 8 of another: mean 4, contributions (−3 − 1) / 3 and 4 / 3, times √2."""
    found = Contributions.of([1.0, 3.0, 8.0, np.nan], [0, 0, 1, 1], 2)
    assert found.whole == 4.0
    assert found.shares == pytest.approx(np.array([-4 / 3, 4 / 3]) * np.sqrt(2))
    assert Contributions.of([5.0], [0], 1).shares.tolist() == [0.0]


def test_cases_weigh_a_fold_where_they_are_counted() -> None:
    metrics = {("a", 0): Contributions(0.5, np.zeros(3))}
    assert make_fold_values(0, metrics, "abc").n == 3
    assert make_fold_values(0, metrics, "abc", 7).n == 7
    assert make_fold_values(0, metrics, "abc", 0).n == 0
    assert make_fold_values(0, metrics, "abc", rare={"events": 2}).rare == {"events": 2}
