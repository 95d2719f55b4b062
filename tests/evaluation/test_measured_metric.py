"""Metrics with influences: skills, means and differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from polytask.evaluation.measured_metric import (
    MeasuredMetric,
    average_metrics,
    build_undefined_metric,
    combine_metrics,
)

HERE = np.array([True, True, False, True])
ONE = MeasuredMetric(0.6, np.array([0.1, -0.1, 0.0, 0.0]), HERE, "area", 0.5, 0.8)
OTHER = MeasuredMetric(0.4, np.array([0.0, 0.0, 0.1, -0.1]), ~HERE, "share", 0.3, 0.45)


def test_a_skill_is_a_metric_on_another_scale() -> None:
    found = ONE.scale(2.0, -1.0)
    assert (found.estimate, found.low, found.high) == pytest.approx((0.2, 0.0, 0.6))
    assert found.influence.tolist() == [0.2, -0.2, 0.0, 0.0]
    turned = ONE.scale(-0.5, 1.0)
    assert (turned.estimate, turned.low, turned.high) == pytest.approx((0.7, 0.6, 0.75))
    assert turned.method == "area"


def test_a_metric_that_is_not_defined_concerns_nobody() -> None:
    found = build_undefined_metric(3)
    assert np.isnan([found.estimate, found.low, found.high]).all()
    assert (found.influence.tolist(), found.has_case.tolist(), found.method) == (
        [0.0] * 3,
        [False] * 3,
        "other",
    )
    assert build_undefined_metric(2, "kappa").method == "kappa"


def test_a_sum_has_the_distances_of_its_parts_added_in_squares() -> None:
    """Independent parts: below, 2 · 0.1 and 1 · 0.1; above, 2 · 0.2 and 1 · 0.05."""
    found = combine_metrics([ONE, OTHER], [2.0, 1.0], np.eye(2))
    assert found.estimate == pytest.approx(1.6)
    assert found.low == pytest.approx(1.6 - np.hypot(0.2, 0.1))
    assert found.high == pytest.approx(1.6 + np.hypot(0.4, 0.05))
    assert found.influence.tolist() == pytest.approx([0.2, -0.2, 0.1, -0.1])
    assert (found.has_case.all(), found.method) == (True, "area")


def test_correlations_are_those_the_subjects_show() -> None:
    """The same metric against itself: only its two unequal distances, 0.1 and 0.2, remain."""
    alike = combine_metrics([ONE, ONE], [1.0, -1.0])
    assert (alike.estimate, alike.low, alike.high) == pytest.approx((0.0, -0.1, 0.1))
    apart = combine_metrics([ONE, OTHER], [1.0, 1.0])
    assert apart.high == pytest.approx(1.0 + np.hypot(0.2, 0.05))


def test_a_part_without_an_interval_takes_it_from_the_whole() -> None:
    short = replace(OTHER, low=np.nan, high=np.nan, shortage="too few")
    found = combine_metrics([ONE, short], [1.0, 1.0])
    assert (found.estimate, found.shortage) == (1.0, "too few")
    assert np.isnan([found.low, found.high]).all()
    silent = combine_metrics([ONE, replace(OTHER, high=np.nan)], [1.0, 1.0])
    assert np.isnan([silent.low, silent.high]).all()
    assert silent.shortage == ""
    nothing = combine_metrics([ONE, build_undefined_metric(4)], [1.0, 1.0])
    assert np.isnan([nothing.estimate, nothing.low]).all()


def test_a_mean_weighs_alike_and_of_nothing_is_not_defined() -> None:
    assert average_metrics([ONE, OTHER], 4).estimate == pytest.approx(0.5)
    assert average_metrics([ONE], 4).high == pytest.approx(0.8)
    assert np.isnan(average_metrics([], 4).estimate)
    assert average_metrics([], 4).influence.size == 4
