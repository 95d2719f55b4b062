"""PPV and NPV at a stated prevalence, by hand and against another interval."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.evaluation.evaluation_result import Estimate
from polytask.evaluation.predictive_values import compute_predictive_values


def share(p: float, n: int) -> Estimate:
    """A share of n with its Wald interval."""
    half = 1.96 * np.sqrt(p * (1 - p) / n)
    return Estimate(p, p - half, p + half, n)


def test_values_follow_from_bayes() -> None:
    """At 10 %: 0.09 of all are right alarms and 0.18 wrong ones; 0.72 right all-clears and 0.01 wrong ones."""
    found = compute_predictive_values(share(0.9, 50), share(0.8, 70), 0.1)
    assert found.ppv.estimate == pytest.approx(0.09 / 0.27)
    assert found.npv.estimate == pytest.approx(0.72 / 0.73)
    assert found.ppv.low < found.ppv.estimate < found.ppv.high < 1
    assert found.npv.low < found.npv.estimate < found.npv.high < 1
    assert found.ppv.n == 120


@pytest.mark.parametrize("prevalence", [0.02, 0.3])
def test_intervals_of_many_are_those_of_the_delta_method(prevalence: float) -> None:
    """Mercaldo, Lau, Zhou 2007: logit PPV and logit NPV have the variances below."""
    sensitivity, specificity, n = 0.85, 0.75, 4000
    found = compute_predictive_values(share(sensitivity, n), share(specificity, n), prevalence)
    variances = {
        "ppv": (1 - sensitivity) / sensitivity / n + specificity / (1 - specificity) / n,
        "npv": sensitivity / (1 - sensitivity) / n + (1 - specificity) / specificity / n,
    }
    for name, variance in variances.items():
        value: Estimate = getattr(found, name)
        logit = np.log(value.estimate / (1 - value.estimate))
        for end, sign in ((value.low, -1), (value.high, 1)):
            expected = 1 / (1 + np.exp(-(logit + sign * 1.96 * np.sqrt(variance))))
            assert end == pytest.approx(expected, rel=0.003)


def test_a_share_of_one_and_one_without_interval() -> None:
    perfect = compute_predictive_values(share(0.9, 50), Estimate(1.0, 0.9, 1.0, 30), 0.1)
    assert perfect.ppv.estimate == 1
    assert 0 < perfect.ppv.low < 1
    bare = compute_predictive_values(
        Estimate(0.9, np.nan, np.nan, 5, "too few"), Estimate(0.8, 0.7, 0.9, 50), 0.1
    )
    assert bare.ppv.estimate == pytest.approx(0.09 / 0.27)
    assert np.isnan(bare.ppv.low)
    assert bare.ppv.reason == "too few"
    nothing = compute_predictive_values(Estimate(np.nan, np.nan, np.nan, 0), share(0.8, 9), 0.1)
    assert np.isnan([nothing.ppv.estimate, nothing.npv.estimate]).all()
