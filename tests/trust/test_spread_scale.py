"""The factor on a told spread: what it recovers, and when it is refused."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.inference.pooled_answers import PooledAnswers
from polytask.trust.spread_scale import (
    SpreadScale,
    describe_spread_scale,
    find_factor,
    fit_spread_scale,
    measure_normal_loss,
    parse_spread_scale,
)


def make_answers(told: float, count: int = 200, subjects: int = 100) -> PooledAnswers:
    """Numbers whose errors have the standard deviation 2 or 6, told as `told` times that."""
    random = np.random.default_rng(0)
    sd = np.where(np.arange(count) % 2 == 0, 2.0, 6.0)
    ids = tuple((f"s{k % subjects}", f"v{k // subjects}") for k in range(count))
    prediction = {"value": random.normal(0, sd) + 50, "spread": told * sd}
    known = np.arange(count) % 10 > 0
    return PooledAnswers(ids, prediction, np.where(known, 50.0, np.nan), known)


def test_a_spread_told_too_small_is_scaled() -> None:
    scale = fit_spread_scale(make_answers(0.5))
    assert scale is not None
    assert scale.factor == pytest.approx(2.0, rel=0.12)
    assert scale.after < scale.before
    assert scale.n == 180
    assert describe_spread_scale(scale).startswith("spread × ")
    assert parse_spread_scale(vars(scale)) == scale


def test_a_factor_that_does_not_help_others_is_refused() -> None:
    scale = fit_spread_scale(make_answers(1.0, 8, 8))
    assert scale is not None
    assert scale.factor == 1.0
    assert scale.after >= scale.before
    assert "made the log loss worse" in describe_spread_scale(scale)


def test_no_spread_or_too_few_subjects_give_no_factor() -> None:
    answers = make_answers(1.0)
    del answers.prediction["spread"]
    assert fit_spread_scale(answers) is None
    assert fit_spread_scale(make_answers(1.0, 9, 3)) is None
    assert parse_spread_scale(None) is None
    with pytest.raises(ValueError, match="factor"):
        parse_spread_scale({"factor": 0.0, "before": 1.0, "after": 1.0, "n": 3})


def test_losses_and_factor_by_hand() -> None:
    # scipy 1.17: −norm.logpdf([0.5, −1.2], scale=[0.7, 2.0]).mean().
    assert measure_normal_loss(np.array([0.5, -1.2]), np.array([0.7, 2.0])) == pytest.approx(1.3047256719)
    assert find_factor(np.array([3.0, -4.0]), np.array([1.0, 1.0])) == pytest.approx(np.sqrt(12.5))
    assert SpreadScale(1.0, 0.0, 0.0, 1).factor == 1
