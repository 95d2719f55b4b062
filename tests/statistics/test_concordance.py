from __future__ import annotations

import numpy as np
import pytest
from lifelines.datasets import load_lung
from lifelines.utils import concordance_index
from scipy.stats import t

from polytask.statistics import comparable_pairs
from polytask.statistics.comparable_pairs import count_pairs
from polytask.statistics.concordance import find_concordance_influence, find_concordance_interval

R = np.random.default_rng(0)


def world(n: int, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = R.normal(size=n)
    times, end = R.exponential(np.exp(-slope * x)), R.exponential(2.0, n)
    return x, np.minimum(times, end), times <= end


def judge(risk: np.ndarray, times: np.ndarray, events: np.ndarray) -> tuple[float, float, float]:
    pairs = count_pairs(risk, times, events)
    c = pairs.early_right.sum() / pairs.early.sum()
    low, high = find_concordance_interval(
        c, find_concordance_influence(pairs), pairs.early.sum(), int(events.sum())
    )
    return float(c), low, high


def test_rs_figures_for_the_lung_data() -> None:
    """R 4.3, survival: coxph(Surv(time, status) ~ age, lung) prints "Concordance= 0.55 (se = 0.025)"."""
    lung = load_lung()
    risk, times, events = (lung[k].to_numpy(float) for k in ("age", "time", "status"))
    pairs = count_pairs(risk, times, events > 0)
    influence = find_concordance_influence(pairs)
    c = pairs.early_right.sum() / pairs.early.sum()
    assert c == pytest.approx(0.55, abs=0.002)
    assert np.sqrt((influence**2).sum()) == pytest.approx(0.025, abs=0.0006)
    assert influence.sum() == pytest.approx(0, abs=1e-12)
    low, high = find_concordance_interval(c, influence, pairs.early.sum(), int(events.sum()))
    assert (low, high) == pytest.approx((0.55 - 1.96 * 0.025, 0.55 + 1.96 * 0.025), abs=0.004)


def test_estimate_is_that_of_lifelines_with_ties() -> None:
    risk, times, events = np.round(R.normal(size=80)), R.integers(1, 12, 80).astype(float), R.random(80) < 0.6
    assert judge(risk, times, events)[0] == pytest.approx(concordance_index(times, -risk, events))


def test_influence_is_the_jackknife_of_a_large_sample() -> None:
    risk, times, events = world(150)
    pairs = count_pairs(risk, times, events)
    c = pairs.early_right.sum() / pairs.early.sum()
    kept = ~np.eye(150, dtype=bool)
    without = [judge(risk[k], times[k], events[k])[0] for k in kept]
    np.testing.assert_allclose(find_concordance_influence(pairs), c - np.array(without), rtol=0.05, atol=1e-4)


def test_all_ordered_right_is_not_certainty() -> None:
    times = np.arange(1.0, 26)
    c, low, high = judge(-times, times, np.ones(25, bool))
    assert c == 1
    assert 0.85 < low < 0.99
    assert high == 1
    c, low, high = judge(times, times, np.ones(25, bool))
    assert (c, low) == (0, 0)
    assert 0.01 < high < 0.15


def test_coverage() -> None:
    held = 0
    for _ in range(300):
        _, low, high = judge(*world(40))
        held += low <= 0.732 <= high
    assert held / 300 > 0.93


def test_pairs_are_counted_once_and_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """4,000 subjects took 35 seconds with 1,000 resamples, each of which counts pairs."""
    given, counts = world(4000), []
    inversions = comparable_pairs.count_inversions
    monkeypatch.setattr(
        comparable_pairs, "count_inversions", lambda *a: counts.append(len(a[0])) or inversions(*a)
    )
    monkeypatch.setattr(np.random, "default_rng", lambda *_: pytest.fail("a resample was drawn"))
    c, low, high = judge(*given)
    assert counts == [4000]
    assert 0.01 < high - low < 0.03
    assert low < c < high


def test_undefined() -> None:
    pairs = count_pairs([1.0, 2.0], [1.0, 2.0], [0, 0])
    assert np.isnan(find_concordance_influence(pairs)).all()
    assert np.isnan(find_concordance_interval(float("nan"), np.zeros(2), 0, 0)).all()


def test_an_interval_by_hand() -> None:
    """C = ½ of 10 pairs, four subjects of whom two have the event: variance (4/3 · 0.04 + 6 · 0.059988) / 7 at 4.5/11,
    and the interval is symmetric."""
    influence = np.array([0.1, -0.1, 0.1, -0.1])
    low, high = find_concordance_interval(0.5, influence, 10, 2)
    assert (low, high) == pytest.approx((0.060398, 0.939602), abs=1e-5)
    assert np.isnan(find_concordance_interval(0.5, influence, 10, 1)).all()
    assert np.isnan(find_concordance_interval(0.5, influence[:1], 10, 2)).all()


def test_an_uneven_interval_by_the_formula() -> None:
    """C = 0.8 of 20 pairs, five subjects of whom three have the event; half an unseen subject is a fifth of what two
    subjects are."""
    influence = np.array([0.1, -0.1, 0.05, -0.05, 0.0])
    seen, freedom, unseen = 5 / 4 * (influence**2).sum(), 3 - 1 + 6, 2 * 0.5 / 5
    expected = []
    for side, right in ((-1, 0.0), (1, unseen)):
        inner = ((0.8 + right) / (1 + unseen) * 20 + 0.5) / 21
        q1, q2 = inner / (2 - inner), 2 * inner**2 / (1 + inner)
        prior = ((q1 + q2) / 2 - inner**2) * (1 / 3 + 1 / 5)
        error = np.sqrt((2 * seen + 6 * prior) / freedom) / (inner * (1 - inner))
        expected.append(
            1 / (1 + np.exp(-(np.log(inner / (1 - inner)) + side * t.ppf(0.95, freedom) * error)))
        )
    assert find_concordance_interval(0.8, influence, 20, 3, 0.9) == pytest.approx(expected)
    assert np.isfinite(find_concordance_interval(0.8, influence[:2], 20, 2)).all()
