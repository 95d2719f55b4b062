"""Statistics of many columns at once, against scipy, lifelines and loops written from the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines.statistics import logrank_test
from scipy import stats

from polytask.plan.rules.association import (
    Floats,
    compute_cox_z,
    compute_rank_z,
    find_repeated_columns,
    rank_columns,
)


def columns(seed: int, rows: int = 40, count: int = 12, missing: float = 0.0, ties: bool = False) -> Floats:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, count))
    values = np.round(values) if ties else values
    return np.where(rng.random(values.shape) < missing, np.nan, values)


def test_ranks_are_those_of_scipy() -> None:
    values = columns(0, missing=0.3, ties=True)
    for ours, column in zip(rank_columns(values).T, values.T, strict=True):
        known = ~np.isnan(column)
        np.testing.assert_array_equal(ours[known], stats.rankdata(column[known]))
        assert np.isnan(ours[~known]).all()


def test_a_number_is_tested_by_spearman() -> None:
    values, answer = columns(1, ties=True), columns(2, count=1)[:, 0]
    expected = [abs(stats.spearmanr(column, answer).statistic) * np.sqrt(39) for column in values.T]
    np.testing.assert_allclose(compute_rank_z(values, rank_columns(answer[:, None])[:, 0]), expected)


def test_a_class_is_tested_by_mann_and_whitney() -> None:
    values, answer = columns(3, ties=True), (np.arange(40) % 3 == 0).astype(float)
    found = compute_rank_z(values, answer)
    for z, column in zip(found, values.T, strict=True):
        p = stats.mannwhitneyu(
            column[answer == 1], column[answer == 0], method="asymptotic", use_continuity=False
        ).pvalue
        assert 2 * stats.norm.sf(z) == pytest.approx(p, rel=1e-9)


def test_cox_score_of_two_values_is_the_log_rank_test() -> None:
    rng = np.random.default_rng(4)
    time, event = rng.permutation(60) + 1.0, (rng.random(60) < 0.6).astype(float)
    values = (rng.random((60, 5)) < 0.4).astype(float)
    for z, column in zip(compute_cox_z(values, time, event), values.T, strict=True):
        one = column == 1
        test = logrank_test(time[one], time[~one], event[one], event[~one])
        assert z**2 == pytest.approx(test.test_statistic, rel=1e-9)


def by_definition(x: Floats, time: Floats, event: Floats) -> float:
    """|z| of the score test: at each event, the covariate less its mean over those still at risk."""
    score = information = 0.0
    for i in np.flatnonzero(event):
        risk = x[time >= time[i]]
        score, information = score + x[i] - risk.mean(), information + risk.var()
    return abs(score) / float(np.sqrt(information))


def test_cox_score_of_numbers_with_ties_and_gaps() -> None:
    rng = np.random.default_rng(5)
    values = columns(6, missing=0.3)
    time, event = rng.integers(1, 15, 40).astype(float), (rng.random(40) < 0.7).astype(float)
    for z, column in zip(compute_cox_z(values, time, event), values.T, strict=True):
        k = ~np.isnan(column)
        assert z == pytest.approx(by_definition(stats.rankdata(column[k]), time[k], event[k]), rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_unknown_cells_are_left_out_column_by_column(seed: int) -> None:
    values = columns(seed, missing=0.4)
    answer = (np.random.default_rng(seed).random(40) < 0.5).astype(float)
    time = np.random.default_rng(seed + 1).random(40)
    whole = compute_rank_z(values, answer), compute_cox_z(values, time, answer)
    for index, column in enumerate(values.T):
        k = ~np.isnan(column)
        alone = (
            compute_rank_z(column[k, None], answer[k]),
            compute_cox_z(column[k, None], time[k], answer[k]),
        )
        np.testing.assert_allclose([w[index] for w in whole], [a[0] for a in alone], rtol=1e-9, atol=1e-12)


def test_what_never_varies_is_associated_with_nothing() -> None:
    values = np.column_stack([np.full(20, 3.0), np.full(20, np.nan), np.arange(20.0)])
    answer = (np.arange(20) > 9).astype(float)
    assert compute_rank_z(values, answer)[:2].tolist() == [0, 0]
    assert compute_cox_z(values, np.arange(20.0), answer)[:2].tolist() == [0, 0]
    assert not compute_rank_z(values, np.ones(20)).any()
    assert not compute_cox_z(values, np.arange(20.0), np.zeros(20)).any()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.sampled_from([3, 40, 1100]))
def test_repeats_are_found_in_order(seed: int, count: int) -> None:
    """Columns around a few hidden ones; the loop from the definition, over more than two blocks."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(30, 20))
    values = hidden[:, rng.integers(0, 20, count)] * rng.choice([-2, 1], count)
    values += rng.choice([0.0, 0.1, 0.4], count) * rng.normal(size=values.shape)
    correlation = np.abs(np.corrcoef(values.T))
    kept: list[int] = []
    for index in range(count):
        if not (correlation[index, kept] > 0.95).any():
            kept.append(index)
    assert np.flatnonzero(~find_repeated_columns(values, 0.95)).tolist() == kept
