"""Simple models: their fit against scikit-learn, their penalty, more columns than subjects."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from polytask.evaluation.baselines import baseline_models
from polytask.evaluation.baselines.apply_baseline import _decode_scores
from polytask.evaluation.baselines.baseline_models import (
    CANDIDATE_PENALTIES,
    DEFAULT_PENALTY,
    choose_penalty,
    fit_cox_baseline,
    fit_linear_baseline,
    fit_logistic_baseline,
    measure_log_loss,
)
from polytask.statistics.cox_model import fit_cox


def world(n: int = 80, columns: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, columns))
    return x, x[:, 0] - x[:, 1] + random.normal(size=n), [f"s{i}" for i in range(n)]


def test_a_linear_model_is_that_of_scikit_learn() -> None:
    x, y, subjects = world()
    found = fit_linear_baseline(x, y, subjects)
    reference = Ridge(alpha=found.penalty * len(x)).fit(x, y)
    assert found.coefficients[0] == pytest.approx(reference.coef_)
    assert found.intercepts[0] == pytest.approx(reference.intercept_)


def test_a_logistic_model_is_that_of_scikit_learn() -> None:
    x, y, subjects = world()
    found = fit_logistic_baseline(x, (y > 0).astype(np.int64), 2, subjects)
    reference = LogisticRegression(C=2 / (found.penalty * len(x)), tol=1e-10, max_iter=5000).fit(x, y > 0)
    assert found.coefficients[1] - found.coefficients[0] == pytest.approx(reference.coef_[0], abs=1e-4)


def test_a_cox_model_is_that_of_its_penalty() -> None:
    x, y, subjects = world()
    times, events = np.exp(-y), np.arange(80) % 3 > 0
    found = fit_cox_baseline(x, times, events.astype(float), subjects)
    reference = fit_cox(x, times, events, found.penalty * events.sum())
    assert found.coefficients[0] == pytest.approx(reference.coefficients, rel=1e-5)
    assert found.coefficients[0, 0] > 0 > found.coefficients[0, 1]
    assert found.extra["baseline"]["times"] == np.unique(times[events]).tolist()
    assert found.intercepts.tolist() == [0.0], "one for the single output; the baseline hazard stands for it"


def test_more_columns_than_subjects() -> None:
    """The principal axes change nothing: the same coefficients as the fit on all columns."""
    x, y, subjects = world(25, 120)
    times, events = np.exp(-y), np.ones(25)
    found = fit_cox_baseline(x, times, events, subjects)
    assert found.coefficients[0] == pytest.approx(
        fit_cox(x, times, events, found.penalty * 25).coefficients, rel=1e-3, abs=1e-5
    )
    assert np.isfinite(fit_logistic_baseline(x, (y > 0).astype(np.int64), 2, subjects).coefficients).all()
    assert np.isfinite(fit_linear_baseline(x, y, subjects).coefficients).all()


def test_noise_gets_a_strong_penalty_and_a_clear_signal_a_weak_one() -> None:
    random = np.random.default_rng(1)
    x, subjects = random.normal(size=(60, 30)), [f"s{i}" for i in range(60)]
    assert fit_linear_baseline(x, random.normal(size=60), subjects).penalty == CANDIDATE_PENALTIES[-1]
    assert fit_linear_baseline(x[:, :2], x[:, 0], subjects).penalty == CANDIDATE_PENALTIES[0]


def test_few_subjects_choose_nothing_and_visits_of_one_stay_together() -> None:
    assert (
        choose_penalty([f"s{i}" for i in range(19)], np.zeros(19), lambda r, p: None, lambda *_: 0.0)
        == DEFAULT_PENALTY
    )
    subjects = [f"s{i // 2}" for i in range(60)]
    seen = []

    def fit(rows: np.ndarray, penalty: float) -> set[str]:
        return {subjects[i] for i in rows}

    def loss(fitted: set[str], rows: np.ndarray, train: np.ndarray) -> float:
        seen.append(fitted & {subjects[i] for i in rows})
        return 0.0

    choose_penalty(subjects, np.arange(60.0), fit, loss)
    assert seen == [set()] * 25


def test_a_case_that_was_held_for_impossible_counts_as_one_in_a_million() -> None:
    losses = np.log([0.5, 0.25, 1e-300])
    assert measure_log_loss(losses) == pytest.approx(np.log(2) + np.log(4) + np.log(1e6))


def test_labels_are_answered_one_by_one() -> None:
    """Two scores for each label, no and yes: the probability of yes is the logistic function of their difference."""
    found = _decode_scores({"kind": "multilabel"}, np.array([0.0, 1.0, 0.5, -0.5]))
    assert found["p"].tolist() == [pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))])]


def test_twenty_subjects_choose_the_penalty_of_the_least_loss() -> None:
    tried: list[float] = []

    def choose(subjects: int) -> float:
        def loss(penalty: float, rows: np.ndarray, train: np.ndarray) -> float:
            tried.append(penalty)
            return abs(penalty - 1.0) * len(rows)

        names = [f"s{k:02}" for k in range(subjects)]
        return choose_penalty(names, np.arange(float(subjects)), lambda rows, penalty: penalty, loss)

    assert choose(20) == 1.0
    assert sorted(set(tried)) == [0.001, 0.01, 0.1, 1.0, 10.0]
    assert len(tried) == 25
    assert choose(19) == 0.1


def test_each_part_has_every_fifth_outcome() -> None:
    parts: list[list[int]] = []

    def loss(fitted: np.ndarray, rows: np.ndarray, train: np.ndarray) -> float:
        parts.append(rows.tolist())
        assert sorted([*rows.tolist(), *train.tolist()]) == list(range(25))
        assert fitted.tolist() == train.tolist()
        return 0.0

    order = np.argsort(np.random.default_rng(0).permutation(25)).astype(float)
    choose_penalty([f"s{k:02}" for k in range(25)], order, lambda rows, penalty: rows, loss)
    ranks = [sorted(order[p].astype(int).tolist()) for p in parts[:5]]
    assert sorted(ranks) == [[k, k + 5, k + 10, k + 15, k + 20] for k in range(5)]


def test_the_penalty_grows_with_the_items() -> None:
    x, y = np.array([[-1.0], [1.0]]), np.array([1.0, 5.0])
    found = fit_linear_baseline(x, y, ["a", "b"])
    assert found.penalty == 0.1
    assert found.coefficients[0, 0] == pytest.approx(4 / (2 + 0.1 * 2))
    assert found.intercepts[0] == pytest.approx(3.0)


def test_a_single_event_counts_once_in_the_penalty_of_a_cox_model() -> None:
    """Too few subjects to choose a penalty: the default one, times the number of events."""
    x, y, subjects = world(6, 2)
    events = np.zeros(6)
    events[np.argmax(y)] = 1  # the shortest time, so that all others are at risk
    fitted = fit_cox_baseline(x, np.exp(-y), events, subjects)
    assert fitted.penalty == DEFAULT_PENALTY
    assert fitted.coefficients[0] == pytest.approx(
        fit_cox(x, np.exp(-y), events, DEFAULT_PENALTY).coefficients
    )


def test_the_parts_of_a_cox_model_are_balanced_in_events_first(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, subjects = world()
    events = (np.arange(80) % 3 > 0).astype(float)
    outcomes: list[np.ndarray] = []

    def note_outcome(names: list[str], outcome: np.ndarray, *functions: object) -> float:
        outcomes.append(outcome)
        return DEFAULT_PENALTY

    monkeypatch.setattr(baseline_models, "choose_penalty", note_outcome)
    fit_cox_baseline(x, 100 * np.exp(-y), events, subjects)
    (outcome,) = outcomes
    assert outcome[events == 0].max() < outcome[events > 0].min()
