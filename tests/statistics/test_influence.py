from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from polytask.statistics import influence
from polytask.statistics.delong import auc_covariance
from polytask.statistics.influence import (
    MetricShares,
    average_shares,
    find_auc_shares,
    find_concordance_shares,
    find_kappa_shares,
    find_r2_shares,
)
from polytask.statistics.mean_interval import find_mean_interval
from polytask.tasks.confusion import build_confusion_matrix, compute_quadratic_kappa
from polytask.tasks.ranking import compute_auc
from polytask.tasks.regression import Regression
from polytask.tasks.survival_metrics import compute_concordance

R = np.random.default_rng(8)


def leave_out(metric: Callable[[np.ndarray], float], n: int) -> np.ndarray:
    every = np.arange(n)
    gaps = [metric(every) - metric(np.delete(every, k)) for k in range(n)]
    return np.array(gaps) * np.sqrt((n - 1) / n)


def check(found: MetricShares, metric: Callable[[np.ndarray], float], n: int) -> None:
    assert found[0] == pytest.approx(metric(np.arange(n)), nan_ok=True)
    np.testing.assert_allclose(found[1], leave_out(metric, n), atol=1e-12)


def test_concordance_without_each_case() -> None:
    for n in (7, 40):
        t, e, r = R.integers(1, 8, n) * 1.0, R.integers(0, 2, n) * 1.0, R.integers(0, 6, n) * 1.0  # ties
        e[:2] = 1
        check(find_concordance_shares(r, t, e), lambda i: compute_concordance(r[i], t[i], e[i]), n)  # noqa: B023
    assert np.isnan(find_concordance_shares([1.0, 2], [1, 2], [0, 0])[0])
    # Without the only event no pair can be compared.
    assert np.isnan(find_concordance_shares([1.0, 2, 3], [1, 2, 3], [1, 0, 0])[1]).tolist() == [
        True,
        False,
        False,
    ]


def test_kappa_without_each_case() -> None:
    t, a = R.integers(0, 4, 30), R.integers(0, 4, 30)
    check(
        find_kappa_shares(t, a), lambda i: compute_quadratic_kappa(build_confusion_matrix(t[i], a[i], 4)), 30
    )
    t = np.array([0, 0, 0, 0, 2])
    alone = find_kappa_shares(t, [0, 1, 0, 0, 2])
    assert np.isnan(alone[1]).tolist() == [False] * 4 + [True]
    assert np.isnan(find_kappa_shares([1, 1, 1], [0, 1, 2])[0])


def test_r2_without_each_case() -> None:
    t, a = R.normal(50, 3, 20), R.normal(50, 3, 20)
    judge = Regression("age", "subject")

    def r2(i: np.ndarray) -> float:
        return judge.metrics({"value": a[i]}, t[i], np.ones(len(i), bool))["r2"]

    check(find_r2_shares(t, a), r2, 20)
    assert np.isnan(find_r2_shares([2.0, 2, 2], [1, 2, 3])[0])


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6, -3.0])
def test_r2_of_truths_that_do_not_vary_is_not_defined(constant: float) -> None:
    estimate, shares = find_r2_shares(np.full(5, constant), R.normal(size=5))
    assert np.isnan(estimate)
    assert np.isnan(shares).all()


def test_an_area_s_shares_are_delong_s_variance() -> None:
    y = R.random(40) < 0.3
    scores = np.round(R.normal(size=(2, 40)) + y, 1)
    found = [find_auc_shares(s, y) for s in scores]
    area, covariance = auc_covariance(y, scores)
    assert [whole for whole, _ in found] == pytest.approx(area.tolist())
    assert found[0][0] == pytest.approx(compute_auc(scores[0], y))
    shares = np.stack([s for _, s in found])
    np.testing.assert_allclose(shares @ shares.T, covariance)
    assert np.isnan(find_auc_shares([1.0, 2], [True, True])[0])
    assert np.isnan(find_auc_shares([1.0, 2, 3], [True, False, False])[1]).all()


def test_a_mean_of_several() -> None:
    y = R.random(30) < 0.5
    both = [find_auc_shares(R.normal(size=30) + y, y) for _ in range(2)]
    whole, shares = average_shares(both)
    assert whole == pytest.approx((both[0][0] + both[1][0]) / 2)
    np.testing.assert_allclose(shares, (both[0][1] + both[1][1]) / 2)


def test_thousands_of_survival_times_are_judged_by_one_count_of_pairs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Resampling the C-index itself counts pairs a thousand times: 35 s."""
    n, counts = 4000, []
    times, risk = R.exponential(size=n), R.normal(size=n)
    count = influence.count_pairs
    monkeypatch.setattr(influence, "count_pairs", lambda *a: counts.append(len(a[0])) or count(*a))
    whole, shares = find_concordance_shares(risk, times, R.random(n) < 0.6)
    found = find_mean_interval(whole - 0.5 + np.sqrt(n * (n - 1)) * (shares - shares.mean()))
    assert counts == [n]
    assert found.low < 0 < found.high
    assert found.high - found.low < 0.05


def test_r2_is_defined_from_three_cases_on() -> None:
    truth, answer = np.array([1.0, 2.0, 4.0]), np.array([1.5, 2.0, 3.0])
    whole, shares = find_r2_shares(truth, answer)
    assert whole == pytest.approx(1 - 1.25 / ((truth - truth.mean()) ** 2).sum())
    assert np.isfinite(shares).all()
    assert np.isnan(find_r2_shares(truth[:2], answer[:2])[0])
