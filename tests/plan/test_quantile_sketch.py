"""Summaries of numbers and their pooling, against numpy on the numbers themselves."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.kinds.plan_reasons import round_number
from polytask.plan import quantile_sketch
from polytask.plan.quantile_sketch import SummaryPool, summarize_values


def test_summary_is_numpys() -> None:
    values = np.random.default_rng(0).normal(40, 15, 5000)
    found = summarize_values(values)
    assert found is not None
    assert found.n == 5000
    assert found.mean == pytest.approx(values.mean(), rel=1e-5)
    assert found.variance == pytest.approx(values.var(), rel=1e-5)
    assert found.low == pytest.approx(values.min(), rel=1e-5)
    assert found.high == pytest.approx(values.max(), rel=1e-5)
    assert found.quantiles[5] == pytest.approx(np.quantile(values, 0.01), rel=1e-4)
    assert found.quantiles[250] == pytest.approx(np.median(values), rel=1e-4)


def test_what_is_not_finite_does_not_count() -> None:
    assert summarize_values(np.array([np.nan, np.inf])) is None
    assert summarize_values(np.zeros((0, 3))) is None
    found = summarize_values(np.array([1.0, np.nan, 3.0]))
    assert found is not None
    assert (found.n, found.mean) == (2, 2.0)


def test_many_values_are_thinned_but_the_range_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantile_sketch, "MAX_SORTED_VALUES", 1000)
    values = np.random.default_rng(1).uniform(0, 1, 30_000)
    values[17] = 99.0
    found = summarize_values(values)
    assert found is not None
    assert (found.n, found.high) == (30_000, 99.0)
    assert found.quantiles[250] == pytest.approx(0.5, abs=0.05)


def test_pool_equals_all_values_together_when_cases_are_alike_in_size() -> None:
    rng = np.random.default_rng(2)
    cases = [rng.normal(m, 5, 4000) for m in (0, 20, 40)]
    pool = SummaryPool([s for c in cases if (s := summarize_values(c)) is not None])
    together = np.concatenate(cases)
    assert (pool.cases, pool.n) == (3, 12_000)
    assert pool.mean == pytest.approx(together.mean(), rel=1e-3)
    assert pool.sd == pytest.approx(together.std(), rel=1e-3)
    for q in (0.005, 0.25, 0.5, 0.995):
        assert pool.quantile(q) == pytest.approx(np.quantile(together, q), abs=0.4)
    assert pool.deviation() == pytest.approx(np.abs(together - np.median(together)).mean(), rel=0.01)


def test_a_large_case_weighs_no_more_than_a_small_one() -> None:
    small, large = summarize_values(np.zeros(10)), summarize_values(np.ones(10_000))
    assert small is not None
    assert large is not None
    assert SummaryPool([small, large]).mean == 0.5


def test_short_keeps_significant_digits() -> None:
    assert round_number(1234.5678, 3) == 1230.0
    assert round_number(0.000123456, 3) == 0.000123
