"""Groups by risk: log-rank test and hazard ratio against lifelines."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.evaluation.risk_group_survival import (
    compare_risk_groups,
    select_known_survival,
    split_into_risk_groups,
)
from tests.evaluation.worlds import items

lifelines = pytest.importorskip("lifelines")


def world(n: int = 120, seed: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    risk = random.normal(size=n)
    times = np.ceil(random.exponential(30 * np.exp(-risk)))
    return risk, times, random.random(n) < 0.7


def test_three_groups_are_those_of_lifelines() -> None:
    import pandas as pd
    from lifelines import CoxPHFitter
    from lifelines.statistics import multivariate_logrank_test

    risk, times, events = world()
    cutoffs = (-0.4, 0.5)
    place = np.searchsorted(cutoffs, risk)
    found = compare_risk_groups(risk, times, events, cutoffs)
    assert list(found.groups) == ["low risk", "middle risk", "high risk"]
    assert [n for n, _ in found.groups.values()] == np.bincount(place).tolist()
    assert found.log_rank.p == pytest.approx(multivariate_logrank_test(times, place, events).p_value)
    table = pd.DataFrame({"t": times, "e": events, "middle": place == 1, "high": place == 2}).astype(float)
    fitted = CoxPHFitter().fit(table, "t", "e").summary.loc["high"]
    expected = [fitted["exp(coef)"], fitted["exp(coef) lower 95%"], fitted["exp(coef) upper 95%"]]
    assert found.ratio[:3] == pytest.approx(expected, rel=1e-4)
    assert found.ratio.n == int((place != 1).sum())
    assert found.note == ""


def test_a_group_without_events_has_no_hazard_ratio_and_says_why() -> None:
    found = compare_risk_groups([0, 0, 1, 1], [1, 2, 3, 4], [0, 0, 1, 1], (0.5,))
    assert np.isnan(found.ratio.estimate)
    assert found.note == "the group of lower risk has no event"
    assert (
        compare_risk_groups([1, 1], [1, 2], [1, 1], (0.5,)).note == "the group of lower risk has no subject"
    )
    assert "training risks are all equal" in compare_risk_groups([1, 2], [1, 2], [1, 1], ()).note


def test_few_events_get_no_p_and_no_interval() -> None:
    risk, times, _ = world(12)
    found = compare_risk_groups(risk, times, np.arange(12) < 8, (0.0,))
    assert np.isfinite(found.ratio.estimate)
    assert np.isnan([found.ratio.low, found.ratio.high, found.log_rank.p]).all()
    assert found.note.startswith("8 events, too few")


def test_a_middle_group_without_events_leaves_the_others_as_they_are() -> None:
    risk, times, events = world()
    place = np.searchsorted((-0.4, 0.5), risk)
    events = events & (place != 1)
    outer = place != 1
    found = compare_risk_groups(risk, times, events, (-0.4, 0.5))
    without = compare_risk_groups(risk[outer], times[outer], events[outer], (0.0,))
    assert found.ratio[:3] == pytest.approx(without.ratio[:3])


def test_a_subject_counts_once() -> None:
    risks = {"risk": np.array([0.1, 0.2, 0.3, np.nan])}
    found = select_known_survival(
        items(risks, [[5.0, 1], [6.0, 1], [7.0, 0], [8.0, 1]], [True, True, True, True], ["a", "a", "b", "c"])
    )
    assert [list(map(float, v)) for v in found] == [[0.1, 0.3], [5.0, 7.0], [1.0, 0.0]]


def test_curves_of_the_groups_by_hand() -> None:
    low, high = split_into_risk_groups([1, 2, 3, 3], [5.0, 8.0, 2.0, 4.0], [1, 0, 1, 0], (2.0,))
    assert (low.name, low.n, low.events, low.times, low.censored) == ("lower risk", 2, 1, (5.0,), (8.0,))
    assert low.survival == pytest.approx((0.5,))
    assert (high.name, high.n, high.events, high.censored, high.follow_up_times) == (
        "higher risk",
        2,
        1,
        (4.0,),
        (2.0, 4.0),
    )
    assert high.at_risk([0.0, 2.0, 2.1, 4.0, 4.1]) == [2, 2, 1, 1, 0]
    assert [g.name for g in split_into_risk_groups([9, 9], [1, 2], [1, 0], (2.0,))] == ["higher risk"]
    assert [g.name for g in split_into_risk_groups([9, 1], [1, 2], [1, 0], ())] == ["all"]


def test_ten_events_are_enough_for_p_and_an_interval() -> None:
    risk, times = np.repeat([0.0, 1.0], 10), np.tile(np.arange(1.0, 11), 2)
    times[10:] -= 0.5
    enough = compare_risk_groups(risk, times, np.tile(np.arange(10) < 5, 2), (0.5,))
    assert np.isfinite([enough.ratio.low, enough.ratio.high, enough.log_rank.p]).all()
    assert enough.note == ""
    half_width = np.log(enough.ratio.high / enough.ratio.low) / 2
    assert np.sqrt(enough.ratio.low * enough.ratio.high) == pytest.approx(enough.ratio.estimate)
    assert half_width == pytest.approx(1.959964 * np.sqrt(0.4), rel=0.1), "two groups of five events each"
    fewer = np.tile(np.arange(10) < 5, 2)
    fewer[0] = False
    found = compare_risk_groups(risk, times, fewer, (0.5,))
    assert np.isnan([found.ratio.low, found.log_rank.p]).all()
    assert found.note == "9 events, too few for an interval or p (expected 10)"
    assert found.as_dict()["groups"] == {
        "lower risk": {"n": 10, "events": 4},
        "higher risk": {"n": 10, "events": 5},
    }
    assert found.as_dict()["hazard_ratio"]["low"] is None


def test_groups_that_were_never_at_risk_together_have_no_ratio() -> None:
    times = np.concatenate([np.arange(1.0, 6), np.arange(11.0, 16)])
    found = compare_risk_groups(np.repeat([1.0, 0.0], 5), times, np.ones(10), (0.5,))
    assert found.note == "the groups were never at risk at the same time"
    assert np.isnan(found.ratio.estimate)
    assert np.isfinite(found.log_rank.p)


def test_unknown_items_tell_nothing_of_survival() -> None:
    found = select_known_survival(items({"risk": np.array([0.1, 0.2])}, [[5.0, 1], [6.0, 0]], [False, True]))
    assert [v.tolist() for v in found] == [[0.2], [6.0], [0.0]]
    nothing = select_known_survival(items({"risk": np.array([0.1])}, [[5.0, 1]], [False]))
    assert [v.size for v in nothing] == [0, 0, 0]
