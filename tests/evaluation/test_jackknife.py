from __future__ import annotations

import numpy as np
import pytest

from polytask.evaluation.jackknife import measure_by_jackknife
from polytask.statistics.mean_interval import find_mean_interval

X = np.random.default_rng(0).normal(3, 1, 500)


def test_of_a_mean_it_is_the_interval_of_the_mean() -> None:
    known = np.arange(10, 70)
    found = measure_by_jackknife(lambda i: {"m": float(X[i].mean())}, ["m"], known, 80)["m"]
    expected = find_mean_interval(X[10:70], resamples=1000)
    assert (found.estimate, found.low, found.high) == pytest.approx(expected[:3])
    np.testing.assert_allclose(
        found.influence[known], (X[known] - X[known].mean()) / 59 * 59 / 60, atol=1e-12
    )
    assert found.has_case.sum() == 60
    assert found.influence[:10].tolist() == [0.0] * 10


def test_many_subjects_are_left_out_in_groups() -> None:
    calls = 0

    def median(index: np.ndarray) -> dict[str, float]:
        nonlocal calls
        calls += 1
        return {"m": float(np.sqrt((X[index] ** 2).mean()))}

    found = measure_by_jackknife(median, ["m"], np.arange(500), 500)["m"]
    assert calls == 201
    error = np.std(X**2) / np.sqrt(500) / (2 * found.estimate)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_too_few_and_undefined() -> None:
    few = measure_by_jackknife(lambda i: {"m": float(X[i].mean())}, ["m"], np.arange(39), 39)["m"]
    assert few.shortage == "too few: 39 subjects, 40 needed"
    nan = measure_by_jackknife(lambda i: {"m": float("nan")}, ["m"], np.arange(50), 50)["m"]
    assert np.isnan(nan.estimate)
    assert nan.shortage == ""
    fragile = measure_by_jackknife(
        lambda i: {"m": 1.0 if 7 in i else float("nan")}, ["m"], np.arange(50), 50
    )["m"]
    assert fragile.shortage == "not defined when one of the subjects is left out"
