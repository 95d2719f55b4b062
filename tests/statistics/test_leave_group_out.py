"""Metrics without each group, counted in one pass, are those of judging the rest again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from polytask.statistics.leave_group_out import (
    find_area_without,
    find_concordance_without,
    find_kappa_without,
    find_r2_without,
)

R = np.random.default_rng(11)


def judge_rests(metric: Callable[[np.ndarray], float], group: np.ndarray, groups: int) -> list[float]:
    return [metric(group != g) for g in range(groups)]


def concordance_of_each(risk: np.ndarray, times: np.ndarray, events: np.ndarray) -> float:
    """The definition, each item with each."""
    e = events > 0
    later = ((times[None] > times[:, None]) | ((times[None] == times[:, None]) & ~e[None])) & e[:, None]
    right = later * ((risk[None] < risk[:, None]) + 0.5 * (risk[None] == risk[:, None]))
    return float(right.sum() / later.sum()) if later.any() else float("nan")


def r2_of(truth: np.ndarray, answer: np.ndarray) -> float:
    spread = ((truth - truth.mean()) ** 2).sum()
    return float(1 - ((truth - answer) ** 2).sum() / spread) if spread > 0 else float("nan")


@pytest.mark.parametrize(("n", "groups"), [(3, 3), (8, 3), (60, 60), (90, 7)])
def test_concordance_and_area(n: int, groups: int) -> None:
    for _ in range(5):
        group = np.concatenate([np.arange(groups), R.integers(0, groups, n - groups)])
        risk, times, events = np.round(R.normal(size=n), 1), R.integers(1, 9, n) * 1.0, R.random(n) < 0.6
        np.testing.assert_allclose(
            find_concordance_without(risk, times, events, group, groups),
            judge_rests(lambda k: concordance_of_each(risk[k], times[k], events[k]), group, groups),  # noqa: B023
            atol=1e-12,
        )
        np.testing.assert_allclose(
            find_area_without(risk, events, group, groups),
            judge_rests(lambda k: concordance_of_each(risk[k], 1.0 - events[k], events[k]), group, groups),  # noqa: B023
            atol=1e-12,
        )


@pytest.mark.parametrize(("n", "groups"), [(4, 4), (30, 30), (50, 4)])
def test_kappa_is_that_of_scikit_learn(n: int, groups: int) -> None:
    from sklearn.metrics import cohen_kappa_score

    group = np.concatenate([np.arange(groups), R.integers(0, groups, n - groups)])
    truth, answer = R.integers(0, 4, n), R.integers(0, 4, n)
    truth[:2] = 0, 3
    expected = judge_rests(
        lambda k: cohen_kappa_score(truth[k], answer[k], weights="quadratic", labels=range(4)), group, groups
    )
    np.testing.assert_allclose(find_kappa_without(truth, answer, group, groups), expected, atol=1e-12)


def test_kappa_without_the_only_case_of_a_class_is_not_defined() -> None:
    found = find_kappa_without(np.array([0, 0, 2]), np.array([0, 1, 2]), np.array([0, 1, 2]), 3)
    assert np.isnan(found).tolist() == [False, False, True]


@pytest.mark.parametrize("outlier", [0.0, 1e4, 1e9, 1e14])
def test_r2_keeps_its_digits_when_one_case_outweighs_all_others(outlier: float) -> None:
    truth, answer, group = R.normal(50, 3, 40), R.normal(50, 3, 40), np.arange(40) % 13
    for wrong in (truth, answer):
        moved = {id(truth): truth, id(answer): answer}
        moved[id(wrong)] = wrong + outlier * (np.arange(40) == 5)
        t, a = moved[id(truth)], moved[id(answer)]
        asked = []

        def judge(k: np.ndarray, t: np.ndarray = t, a: np.ndarray = a, asked: list[int] = asked) -> float:
            asked.append(int((~k).argmax()))
            return r2_of(t[k], a[k])

        found = find_r2_without(t, a, group, 13, judge)
        expected = judge_rests(lambda k: r2_of(t[k], a[k]), group, 13)  # noqa: B023
        np.testing.assert_allclose(found, expected, rtol=1e-9)
        assert asked == ([5] if outlier > 1e4 else []), (
            "the rest is judged again for the outlier's group alone"
        )


def test_r2_of_truths_that_vary_by_rounding_alone_is_judged_again() -> None:
    truth, group = np.where(np.arange(7) % 2, 1e6, np.nextafter(1e6, 2e6)), np.arange(7)
    asked: list[int] = []

    def judge(k: np.ndarray) -> float:
        asked.append(int(k.sum()))
        return float("nan")

    assert np.isnan(find_r2_without(truth, R.normal(size=7), group, 7, judge)).all()
    assert asked == [6] * 7


def test_nothing_is_known() -> None:
    none = np.zeros(0)
    for found in (
        find_concordance_without(none, none, none, none.astype(int), 2),
        find_kappa_without(none.astype(int), none.astype(int), none.astype(int), 2),
        find_r2_without(none, none, none.astype(int), 2, lambda _: 1.0),
    ):
        assert found.shape == (2,)
        assert np.isnan(found).all()
