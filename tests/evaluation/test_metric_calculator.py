"""Measures of items that belong to subjects, beside numpy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from polytask.evaluation.metric_calculator import MetricCalculator

R = np.random.default_rng(0)
OWNER = np.repeat(np.arange(40), 2)
OF = MetricCalculator(41, OWNER, 200)
"""Forty subjects with two items each, and one without."""


def few(subjects: int) -> MetricCalculator:
    return MetricCalculator(subjects, np.arange(subjects), 200)


def test_sums_and_counts_are_by_subject() -> None:
    of = MetricCalculator(3, np.array([0, 0, 2]), 10)
    assert of.sum([1.0, 2.0, 5.0]).tolist() == [3.0, 0.0, 5.0]
    assert (of.count(), of.count(np.array([True, True, False]))) == (2, 1)
    assert of.restrict_to(np.array([False, True, True])).owner.tolist() == [0, 2]


def test_means_and_shares_and_whom_they_concern() -> None:
    right = R.random(80) < 0.7
    for found in (OF.share(right), OF.mean(1.0 * right), OF.error(1.0 * right), OF.bounded_mean(1.0 * right)):
        assert found.estimate == pytest.approx(right.mean())
        assert found.low < found.estimate < found.high
        assert found.has_case.tolist() == [True] * 40 + [False]
        assert found.influence.sum() == pytest.approx(0.0, abs=1e-12)
        assert found.influence[0] == pytest.approx((right[:2].sum() - 2 * right.mean()) / 80)
    assert [m.method for m in (OF.share(right), OF.mean(right), OF.error(right), OF.bounded_mean(right))] == [
        *("share", "mean", "error", "bounded mean"),
    ]


def test_a_weighted_mean_is_a_ratio_of_sums() -> None:
    values, weights = R.random(80), 1 + R.random(80)
    found = OF.bounded_mean(values, weights)
    assert found.estimate == pytest.approx(values.sum() / weights.sum())
    assert np.isnan(OF.bounded_mean(values, np.zeros(80)).estimate)


def test_nothing_is_not_defined() -> None:
    nothing = OF.restrict_to(np.zeros(80, bool))
    for found in (
        nothing.share([]),
        nothing.mean([]),
        nothing.error([]),
        nothing.concordance(*[np.zeros(0)] * 3),
    ):
        assert np.isnan(found.estimate)
        assert found.influence.size == 41


def test_an_unseen_error_may_be_twice_the_largest() -> None:
    values = R.random(80)
    assert OF.error(values).high == pytest.approx(OF.error(values, far=2.0).high)
    assert OF.error(values, far=4.0).high > OF.error(values).high > OF.error(values, far=1.0).high


@pytest.mark.parametrize(
    ("kind", "least"),
    [("share", 10), ("mean", 20), ("error", 40), ("bounded mean", 20), ("area", 30), ("kappa", 30)],
)
def test_below_the_floor_there_is_an_estimate_alone(kind: str, least: int) -> None:
    for subjects in (least, least - 1):
        of, truth = few(subjects), np.arange(subjects) % 2
        answer = np.where(np.arange(subjects) % 5 == 0, 1 - truth, truth)
        found = {
            "share": lambda of=of, t=truth, a=answer: of.share(t == a),
            "mean": lambda of=of, t=truth, a=answer: of.mean(a),
            "error": lambda of=of, t=truth, a=answer: of.error(a),
            "bounded mean": lambda of=of, t=truth, a=answer: of.bounded_mean(a),
            "area": lambda of=of, t=truth, a=answer: of.area(a + 0.001 * np.arange(len(a)), t == 1),
            "kappa": lambda of=of, t=truth, a=answer: of.kappa(t, a, 2),
        }[kind]()
        assert np.isfinite(found.estimate)
        assert np.isfinite([found.low, found.high]).all() == (subjects == least)
        assert bool(found.shortage) == (subjects < least)


def test_an_area_counts_the_subjects_of_the_rarer_class() -> None:
    scores, positive = R.random(80), np.arange(80) % 2 == 0
    found = OF.area(scores, positive)
    assert found.estimate == pytest.approx(roc_auc_score(positive, scores))
    assert found.low < found.estimate < found.high
    rare = np.arange(80) < 28
    assert OF.area(scores, rare).shortage == "too few: 14 subjects of each class, 15 needed"
    assert OF.area(scores, ~rare).shortage == "too few: 14 subjects of each class, 15 needed"
    assert np.isnan(OF.area(scores, positive & False).estimate)


def test_kappa_is_that_of_scikit_learn_and_needs_two_classes() -> None:
    truth, answer = R.integers(0, 3, 80), R.integers(0, 3, 80)
    found = OF.kappa(truth, answer, 3)
    assert found.estimate == pytest.approx(cohen_kappa_score(truth, answer, weights="quadratic"))
    assert found.method == "kappa"
    assert np.isnan(OF.kappa(np.ones(80), answer, 3).estimate)


def test_concordance_counts_subjects_with_an_event() -> None:
    of, times = few(40), np.arange(40.0)
    risk = -times + R.normal(0, 5, 40)
    events = np.arange(40) < 20
    found = of.concordance(risk, times, 1.0 * events)
    assert found.low < found.estimate < found.high
    short = of.concordance(risk, times, 1.0 * (np.arange(40) < 19))
    assert short.shortage == "too few: 19 subjects with an event, 20 needed"


def test_a_curved_measure_is_judged_on_another_scale() -> None:
    of = few(60)
    values = R.random(60)
    influence = (values - values.mean()) / 60
    mean = float(values.mean())
    found = of.judge_on_scale(mean, influence, float(np.log(mean)), 1 / mean, lambda x: float(np.exp(x)))
    half = 1.96 * values.std() / np.sqrt(60) / mean
    assert found.low == pytest.approx(mean * np.exp(-half), rel=0.02)
    assert found.high == pytest.approx(mean * np.exp(half), rel=0.02)
    odd = of.judge_on_scale(1.0, influence, np.nan, 1.0, float)
    assert (odd.estimate, odd.shortage) == (1.0, "no error to compute an interval from")
    less = few(59).judge_on_scale(
        mean, influence[:59], float(np.log(mean)), 1 / mean, lambda x: float(np.exp(x))
    )
    assert less.shortage.startswith("too few: 59")
