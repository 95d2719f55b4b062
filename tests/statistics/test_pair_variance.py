"""The pairs' part of a variance: what is left of a metric on resamples when the subjects' own parts are taken off."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.statistics.pair_variance import estimate_pair_covariance
from polytask.statistics.resample_counts import draw_counts

N, RESAMPLES = 8, 400
COUNTS = np.concatenate(list(draw_counts(N, RESAMPLES, 3)))
MEANS = COUNTS @ np.linspace(-1, 1, N) / N
REST = np.random.default_rng(4).normal(size=(2, RESAMPLES))


def test_a_mean_over_subjects_has_none() -> None:
    assert estimate_pair_covariance(MEANS[None], COUNTS) == pytest.approx(np.zeros((1, 1)), abs=1e-12)


def test_what_counts_of_subjects_do_not_explain_is_it() -> None:
    """Residuals of least squares on the counts, by numpy, over resamples − subjects."""
    drawn = MEANS + 0.1 * REST
    design = np.column_stack([np.ones(RESAMPLES), COUNTS[:, :-1]])
    rest = drawn.T - design @ np.linalg.lstsq(design, drawn.T, rcond=None)[0]
    assert estimate_pair_covariance(drawn, COUNTS) == pytest.approx(rest.T @ rest / (RESAMPLES - N), rel=1e-9)


@pytest.mark.parametrize("level", [-5.0, 0.5, 100.0])
def test_the_level_of_the_metric_does_not_matter(level: float) -> None:
    drawn = MEANS + 0.1 * REST
    assert estimate_pair_covariance(drawn + level, COUNTS) == pytest.approx(
        estimate_pair_covariance(drawn, COUNTS), rel=1e-6
    )
    alone = estimate_pair_covariance(REST[:1] + level, COUNTS)
    assert alone == pytest.approx(np.full((1, 1), REST[0].var(ddof=1) / 3), rel=1e-6), "a third at most"


def test_with_too_few_defined_resamples_nothing_is_taken_off() -> None:
    drawn = MEANS + 0.1 * REST
    drawn[0, : RESAMPLES // 2 + 1] = np.nan
    assert not estimate_pair_covariance(drawn, COUNTS).any()
    few = 4 * N - 1
    assert not estimate_pair_covariance(REST[:, :few], COUNTS[:few]).any()
    assert estimate_pair_covariance(REST[:, : few + 1], COUNTS[: few + 1]).any()


def test_too_few_defined_resamples_say_nothing_of_each_of_several_studies() -> None:
    drawn, counts = np.full((4, 3, 40), np.nan), np.ones((40, 5))
    nothing = estimate_pair_covariance(drawn, counts)
    assert nothing.shape == (4, 3, 3)
    assert not nothing.any()
