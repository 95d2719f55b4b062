from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from polytask.statistics.pivot import (
    PIVOT_VALUES,
    Pivot,
    combine_wider_tails,
    find_student_quantiles,
    make_pivot,
    smooth_quantiles,
)

NORMAL = stats.norm.ppf((np.arange(9998) + 0.5) / 9998)


def test_p_and_ends_by_hand() -> None:
    pivot = Pivot(np.array([-5.0, -3, -1, 0, 1, 2, 3, 9]))
    assert pivot.p(2.5) == pytest.approx(2 * 3 / 9)
    assert pivot.p(10.0) == pytest.approx(2 / 9)
    assert pivot.p(-4.0) == pytest.approx(2 * 2 / 9)
    assert pivot.p(0.0) == 1
    assert np.isnan(pivot.p(np.nan))
    assert pivot.ends(1 - 2 / 9) == (9, 5)
    assert pivot.ends(1 - 4 / 9) == (3, 3)
    assert pivot.ends(0.9) == (np.inf, np.inf)


def test_two_parts_are_the_distribution_of_behrens_and_fisher() -> None:
    """By quadrature: P(√½ z + √½ t₆ > q) integrated over z."""
    pivot = make_pivot(NORMAL, 1e6, 0.5, 6.0)
    z = np.linspace(-9, 9, 20001)
    for level in (0.95, 0.99, 0.9975):
        end = float(pivot.ends(level)[1])
        beyond = stats.t.sf((end - np.sqrt(0.5) * z) / np.sqrt(0.5), 6) * stats.norm.pdf(z)
        assert beyond.sum() * (z[1] - z[0]) == pytest.approx((1 - level) / 2, rel=0.12)


def test_the_trainings_luck_adds_exactly_its_variance() -> None:
    """Every draw of it counts with both signs, so that it cannot go along with the subjects' part by chance."""
    drawn = 3 * NORMAL  # so wide that the bootstrap's tails count everywhere
    found = make_pivot(drawn, 1e6, 0.5, 6.0).places
    luck = stats.t.ppf((np.arange(PIVOT_VALUES) + 0.5) / PIVOT_VALUES, 6)
    assert found.var() == pytest.approx(0.5 * drawn.var() + 0.5 * luck.var(), rel=3e-4)


def test_ends_of_the_share() -> None:
    none, every = make_pivot(NORMAL, 1e6, 0.0, 6.0), make_pivot(NORMAL, 1e6, 1.0, 6.0)
    for level in (0.8, 0.95, 0.99):
        assert none.ends(level)[1] == pytest.approx(stats.norm.interval(level)[1], rel=0.01)
        assert every.ends(level)[1] == pytest.approx(stats.t.interval(level, 6)[1], rel=0.01)


def test_what_all_subjects_tell_is_normal() -> None:
    found = make_pivot(NORMAL, 1e6, 0.0, 2.0, 0.7)
    for level in (0.8, 0.95, 0.99):
        assert found.ends(level)[1] == pytest.approx(stats.norm.interval(level)[1], rel=0.015)


def test_skew_only_lengthens() -> None:
    rng = np.random.default_rng(0)
    skewed = make_pivot(rng.gamma(2.0, size=5000) - 2, 40)
    below, above = (float(x) for x in skewed.ends())
    assert below == pytest.approx(stats.gamma.ppf(0.975, 2) - 2, rel=0.1)
    assert above == pytest.approx(stats.t.ppf(0.975, 40), rel=3e-3)


def test_a_batch_is_each_of_its_studies() -> None:
    rng = np.random.default_rng(1)
    drawn, share, seeds = (
        rng.gamma(3, size=(4, 999)) - 3,
        np.array([0.0, 0.2, 0.7, 1.0]),
        np.array([2.0, 3, 6, 6]),
    )
    many = make_pivot(drawn, 50, share, seeds)
    for k in range(1, 4):
        one = make_pivot(drawn[k], 50, share[k], seeds[k])
        assert many.places[k] == pytest.approx(one.places)
        assert many.p(np.array([1, 2, -3, 2.5]))[k] == one.p([1, 2, -3, 2.5][k])


def test_few_resamples_keep_a_tail() -> None:
    few = np.random.default_rng(2).normal(size=1998)
    found = smooth_quantiles(few, NORMAL)
    assert found.shape == (PIVOT_VALUES,)
    assert (np.diff(found) >= 0).all()
    assert found[-1] == pytest.approx(NORMAL[-1], rel=0.25)
    assert np.quantile(found, [0.05, 0.5, 0.9]) == pytest.approx(np.quantile(few, [0.05, 0.5, 0.9]), abs=0.02)


def test_places_and_ends_at_their_bounds() -> None:
    assert PIVOT_VALUES == 9998
    pivot = Pivot(np.array([-2.0, -1.0, 1.0, 2.0]))
    assert pivot.p(2.0) == pytest.approx(2 * 2 / 5)
    assert pivot.p(-2.0) == pytest.approx(2 * 2 / 5)
    assert pivot.p(2.1) == pytest.approx(2 / 5)
    assert pivot.ends(1 - 2 / 5) == (2.0, 2.0)
    assert pivot.ends(1 - 1.9 / 5) == (np.inf, np.inf)
    assert pivot.ends(0.0) == (1.0, 1.0), "no end lies beyond the middle"


def test_quantiles_of_resamples_by_hand() -> None:
    """Twenty resamples at twenty ranks stay where they are but for the outermost quarters, which go on as a normal
    distribution does."""
    drawn = np.random.default_rng(3).normal(size=20) * 2 + 0.5
    like = stats.norm.ppf((np.arange(20) + 0.5) / 20)
    found, ordered = smooth_quantiles(drawn, like), np.sort(drawn)
    assert found[5:15] == pytest.approx(ordered[5:15])
    assert found[:5] == pytest.approx(np.sort(ordered[5] * like[:5] / like[5]))
    assert found[15:] == pytest.approx(ordered[14] * like[15:] / like[14])
    many = smooth_quantiles(np.arange(-500.0, 501.0), NORMAL)
    assert many[4999] == pytest.approx(0, abs=0.1)
    assert many[-1] == pytest.approx(many[-101] * NORMAL[-1] / NORMAL[-101], rel=0.01), (
        "ten of 1,001 are the tail"
    )


def test_the_farther_of_two_on_each_side() -> None:
    found = combine_wider_tails(np.array([-3.0, -1.0, 1.0, 5.0]), np.array([-2.0, -1.5, 2.0, 4.0]))
    assert found.tolist() == [-3.0, -1.5, 2.0, 5.0]


def test_students_quantiles_lie_in_the_middle_of_their_ranks() -> None:
    assert find_student_quantiles(5.0, 4) == pytest.approx(stats.t.ppf([0.125, 0.375, 0.625, 0.875], 5))


def test_what_retraining_does_to_single_subjects_counts_without_luck_of_whole_trainings() -> None:
    """Half of the variance is then normal, so the interval is shorter than that of a wide bootstrap alone."""
    drawn = 3 * NORMAL
    alone, mixed = make_pivot(drawn, 1e6), make_pivot(drawn, 1e6, 0.0, 2.0, 0.5)
    assert mixed.places.var() == pytest.approx(0.5 * drawn.var() + 0.5, rel=3e-3)
    assert mixed.ends()[1] < 0.8 * alone.ends()[1]


def test_an_estimate_of_0_counts_as_one_above_the_truth() -> None:
    assert Pivot(np.array([-3.0, -2.0, -1.0, 1.0])).p(0.0) == pytest.approx(2 * (1 + 1) / 5)
