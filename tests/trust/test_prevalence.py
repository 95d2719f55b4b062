"""Shifting probabilities to another prevalence, and estimating one from cases without a truth."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.array_types import Floats
from polytask.inference.pooled_answers import PooledAnswers
from polytask.trust.implied_priors import fit_implied_priors, parse_implied_priors
from polytask.trust.prevalence import (
    estimate_prevalence,
    find_implied_prevalence,
    find_most_likely_prevalence,
    shift_prevalence,
)

YES = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.05, 0.4, 0.45])
TWO = np.stack([1 - YES, YES], 1)
THREE = np.array(
    [
        [0.6, 0.3, 0.1],
        [0.2, 0.5, 0.3],
        [0.1, 0.2, 0.7],
        [0.8, 0.15, 0.05],
        [0.2, 0.6, 0.2],
        [0.1, 0.8, 0.1],
        [0.05, 0.15, 0.8],
    ]
)


def draw_world(random: np.random.Generator, n: int, share: float, made_for: float) -> tuple[Floats, Floats]:
    """Draw probabilities of an ideal observer of two normals, who takes the prevalence for `made_for`."""
    truth = (random.random(n) < share).astype(np.float64)
    logit = 1.5 * random.normal(1.5 * truth) - 1.5**2 / 2 + np.log(made_for / (1 - made_for))
    yes = 1 / (1 + np.exp(-logit))
    return np.stack([1 - yes, yes], 1), truth


def test_the_shift_is_bayes_rule() -> None:
    # By hand: a probability of 0.8 made for 1:1 has the likelihood ratio 4; at a prevalence of 0.1 the odds are 4/9.
    shifted = shift_prevalence(np.array([[0.2, 0.8]]), np.array([0.5, 0.5]), np.array([0.9, 0.1]))
    assert shifted[0] == pytest.approx([9 / 13, 4 / 13])
    again = shift_prevalence(shifted, np.array([0.9, 0.1]), np.array([0.5, 0.5]))
    assert again[0] == pytest.approx([0.2, 0.8])
    same = shift_prevalence(THREE, np.array([0.2, 0.3, 0.5]), np.array([0.2, 0.3, 0.5]))
    assert same == pytest.approx(THREE)


@pytest.mark.parametrize(
    ("p", "made_for", "wanted"),
    [
        # quapy 0.2.3, EMQ.EM(…, epsilon=1e-13); the second also by EMImbalanceAdapter of abstention 0.1.3.1.
        (TWO, [0.5, 0.5], [0.94608588, 0.05391412]),
        (TWO, [0.7, 0.3], [0.41437682, 0.58562318]),
        (THREE, [0.4, 0.35, 0.25], [0.12522751, 0.47986313, 0.39490936]),
    ],
)
def test_the_most_likely_prevalence_is_that_of_other_implementations(
    p: Floats, made_for: list[float], wanted: list[float]
) -> None:
    assert find_most_likely_prevalence(p, np.array(made_for)) == pytest.approx(wanted, abs=1e-6)
    several = find_most_likely_prevalence(p, np.array([made_for, made_for]))
    assert several == pytest.approx(np.array([wanted, wanted]), abs=1e-6)


def test_probabilities_tell_which_prevalence_they_were_made_for() -> None:
    p, truth = draw_world(np.random.default_rng(0), 20_000, share=0.2, made_for=0.5)
    assert find_implied_prevalence(p, truth)[1] == pytest.approx(0.5, abs=0.02)
    assert truth.mean() == pytest.approx(0.2, abs=0.01)
    # Moved back to the frequencies of its cases, the mean probability is the frequency.
    moved = shift_prevalence(p, find_implied_prevalence(p, truth), np.array([1 - truth.mean(), truth.mean()]))
    assert moved[:, 1].mean() == pytest.approx(truth.mean(), abs=1e-4)
    p, truth = draw_world(np.random.default_rng(1), 20_000, share=0.2, made_for=0.2)
    assert find_implied_prevalence(p, truth)[1] == pytest.approx(0.2, abs=0.02)


def test_the_interval_of_an_estimate_covers() -> None:
    random, held, worlds = np.random.default_rng(2), 0, 30
    for _ in range(worlds):
        known, truth = draw_world(random, 300, share=0.3, made_for=0.5)
        ids = tuple((str(k), "") for k in range(300))
        (prior,) = fit_implied_priors(PooledAnswers(ids, {"p": known}, truth, np.ones(300, bool)), known)
        assert prior is not None
        fresh, _ = draw_world(random, 200, share=0.1, made_for=0.5)
        found = estimate_prevalence(
            fresh, [str(k) for k in range(200)], np.array(prior.implied), np.array(prior.drawn), 100
        )
        held += found.low[1] <= 0.1 <= found.high[1]
    # 95 % less three standard errors of the worlds; many more in benchmarks/subgroups.py.
    assert held / worlds >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / worlds)


def test_cases_of_one_subject_are_drawn_together() -> None:
    p, _ = draw_world(np.random.default_rng(3), 200, share=0.3, made_for=0.3)
    alone = estimate_prevalence(p, [str(k) for k in range(200)], np.array([0.7, 0.3]))
    visits = [str(k) for k in np.repeat(np.arange(200), 4)]
    together = estimate_prevalence(np.repeat(p, 4, 0), visits, np.array([0.7, 0.3]))
    assert together.shares == pytest.approx(alone.shares, abs=1e-4)
    width = alone.high[1] - alone.low[1]
    assert together.high[1] - together.low[1] == pytest.approx(width, rel=0.25)


def test_labels_have_a_prior_each_and_a_class_without_answers_has_none() -> None:
    random = np.random.default_rng(4)
    value = np.stack([random.random(80) < 0.25, np.zeros(80)], 1).astype(float)
    known = np.ones((80, 2), bool)
    known[:40, 0] = False
    ids = tuple((str(k), "") for k in range(80))
    answers = PooledAnswers(ids, {"p": random.random((80, 2))}, value, known)
    first, second = priors = fit_implied_priors(answers, answers.prediction["p"])
    assert second is None, "nobody has the second label"
    assert first is not None
    assert first.n == 40
    assert first.frequencies[1] == pytest.approx(value[40:, 0].mean())
    assert parse_implied_priors([vars(first), None]) == priors
    with pytest.raises(ValueError, match="do not fit together"):
        parse_implied_priors([vars(first) | {"implied": [1.0]}])
