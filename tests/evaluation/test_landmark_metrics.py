"""Dynamic AUC and Brier score at landmark + horizon: worked by hand, and against the formulas written out as loops."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from polytask.evaluation.metric_calculator import MetricCalculator
from polytask.evaluation.metrics_by_kind import measure_survival
from polytask.inference.pooled_answers import PooledAnswers
from polytask.tasks import make_task

NONE = {"times": [], "survival": []}


def make_landmark_task(landmarks: dict[str, Any], horizon: float = 5.0) -> Any:
    return make_task(
        "t",
        {
            "kind": "survival",
            "level": "visit",
            "horizons": [horizon],
            "baseline": {"times": [9.0], "hazard": [0.2]},
            "landmarks": landmarks,
        },
    )


def answers_of(rows: list[tuple[str, str, float, float, float, float]]) -> PooledAnswers:
    """Rows of subject, visit, risk, probability, time, event; a time of 0 = no longer at risk, so not known."""
    risk, p, times, events = np.array([row[2:] for row in rows], float).T
    return PooledAnswers(
        tuple((row[0], row[1]) for row in rows),
        {"risk": risk, "p": p[:, None]},
        np.stack([times, events], 1),
        times > 0,
    )


def calculator_of(items: PooledAnswers) -> MetricCalculator:
    subjects = list(dict.fromkeys(s for s, _ in items.ids))
    return MetricCalculator(len(subjects), np.array([subjects.index(s) for s, _ in items.ids]), 50)


def test_worked_example() -> None:
    """At `first`: events at 2 (weight 1) and 4 (weight 1/G(4−) = 2), one lost at 3, one followed to 9 (2). The risk of
    the first event is above, that of the second below the survivor: AUC 1/3. Brier (0.1² + 2·0.6² + 2·0.2²) / 4.

    At `later`, three days on, the first has had the event and the second and the lost one had theirs on day 4 and 3:
    only the second (1 day left) and the survivor (6 days) are at risk. Nobody is lost: AUC 1, Brier (0.3² + 0.1²) / 2.
    """
    items = answers_of(
        [
            ("a", "first", 4, 0.9, 2, 1),
            ("a", "later", 9, 0.9, 0, 0),
            ("b", "first", 1, 0.4, 4, 1),
            ("b", "later", 5, 0.7, 1, 1),
            ("c", "first", 2, 0.3, 3, 0),
            ("c", "later", 2, 0.3, 0, 0),
            ("d", "first", 3, 0.2, 9, 0),
            ("d", "later", 3, 0.1, 6, 0),
        ]
    )
    task = make_landmark_task({"first": {"times": [3.0], "survival": [0.5]}, "later": NONE})
    found = measure_survival(task, items, calculator_of(items))
    assert found["auc.first.T5"].estimate == pytest.approx(1 / 3)
    assert found["brier.first.T5"].estimate == pytest.approx((0.01 + 2 * 0.36 + 2 * 0.04) / 4)
    assert found["auc.later.T5"].estimate == 1.0
    assert found["brier.later.T5"].estimate == pytest.approx((0.09 + 0.01) / 2)
    assert found["auc.T5"].estimate == pytest.approx((1 / 3 + 1) / 2)
    assert [int(found[f"brier.{v}.T5"].has_case.sum()) for v in ("first", "later")] == [4, 2]


def test_against_the_published_formulas() -> None:
    """Blanche, Proust-Lima, Loubère, Berr, Dartigues, Jacqmin-Gadda (Biometrics 2015), equations of the dynamic AUC and
    of the expected Brier score, written as loops over pairs and subjects; G by steps."""
    rng = np.random.default_rng(0)
    rows, horizon = [], 6.0
    for k in range(120):
        for visit in ("first", "later"):
            time = float(rng.integers(1, 15))
            rows.append((f"s{k}", visit, rng.normal(), rng.uniform(), time, float(rng.random() < 0.6)))
    items = answers_of(rows)
    curves = {
        "first": {"times": [2.0, 5.0], "survival": [0.9, 0.7]},
        "later": {"times": [3.0], "survival": [0.6]},
    }
    found = measure_survival(make_landmark_task(curves, horizon), items, calculator_of(items))

    def follow(visit: str, at: float) -> float:
        """P(not lost before `at`)."""
        past = [g for t, g in zip(*curves[visit].values(), strict=True) if t < at]
        return past[-1] if past else 1.0

    for visit in curves:
        own = [(r[2], r[3], r[4], r[5]) for r in rows if r[1] == visit]
        cases = [(m, 1 / follow(visit, t)) for m, _, t, e in own if t <= horizon and e]
        others = [m for m, _, t, _ in own if t > horizon]
        right = sum(w * ((m > o) + 0.5 * (m == o)) for (m, w), o in product(cases, others))
        auc = right / (sum(w for _, w in cases) * len(others))
        assert found[f"auc.{visit}.T6"].estimate == pytest.approx(auc)
        brier = np.mean(
            [
                (1 - p) ** 2 / follow(visit, t)
                if t <= horizon and e
                else p**2 / follow(visit, horizon + 1e-9) * (t > horizon)
                for _, p, t, e in own
            ]
        )
        assert found[f"brier.{visit}.T6"].estimate == pytest.approx(brier)
        assert found[f"auc.{visit}.T6"].low < auc < found[f"auc.{visit}.T6"].high


def test_a_landmark_that_is_not_followed_long_enough_says_so() -> None:
    items = answers_of([("a", "first", 1, 0.5, 3, 1), ("b", "first", 0, 0.5, 8, 0)])
    found = measure_survival(
        make_landmark_task({"first": {"times": [1.0], "survival": [0.05]}}), items, calculator_of(items)
    )
    assert found["auc.first.T5"].shortage.startswith("fewer than a tenth")
    assert np.isnan(found["auc.T5"].estimate)
