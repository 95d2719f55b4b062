"""What a task promises on simulated answers, and what its check sees."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.array_types import Floats
from polytask.inference.pooled_answers import PooledAnswers
from polytask.trust.answer_forms import FORMS
from polytask.trust.fit_task import check_task, fit_task


def make_ids(count: int, visits: int = 1) -> tuple[tuple[str, str], ...]:
    return tuple((f"s{k // visits}", f"v{k % visits}" if visits > 1 else "") for k in range(count))


def draw_grades(seed: int, count: int, factor: float = 1.0) -> PooledAnswers:
    """Answers whose logits are `factor` times those that the truth is drawn with; a tenth is unknown."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (count, 3))
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    given = np.exp(factor * logits) / np.exp(factor * logits).sum(1, keepdims=True)
    value = (random.uniform(size=(count, 1)) > true.cumsum(1)).sum(1)
    return PooledAnswers(make_ids(count), {"p": given}, value, random.uniform(size=count) > 0.1)


def draw_labels(seed: int, count: int) -> PooledAnswers:
    random = np.random.default_rng(seed)
    p = random.uniform(0.02, 0.98, (count, 2))
    value = (random.uniform(size=p.shape) < p).astype(np.int64)
    return PooledAnswers(make_ids(count), {"p": p}, value, random.uniform(size=p.shape) > 0.2)


def draw_numbers(seed: int, count: int) -> PooledAnswers:
    random = np.random.default_rng(seed)
    value = random.normal(size=count)
    return PooledAnswers(
        make_ids(count),
        {"value": value + random.normal(0, 0.5, count)},
        value,
        random.uniform(size=count) > 0.1,
    )


CASES = {"class": draw_grades, "grade": draw_grades, "labels": draw_labels, "number": draw_numbers}


@pytest.mark.parametrize("form", list(FORMS))
def test_the_check_sees_what_was_promised(form: str) -> None:
    """400 cases: half of them fit, so that 90 % are held but for what n allows."""
    answers = CASES[form](0, 400)
    fitted = fit_task(FORMS[form], "t", answers, alpha=0.1)  # type: ignore[index]
    check = fitted.check
    assert check is not None
    assert check.coverage.mean == pytest.approx(0.905, abs=0.025)
    assert 0 < check.coverage.sd < 0.05
    assert all(spread.mean > 0.85 for spread in check.strata.values())
    assert sum(map(len, fitted.scores.values())) == check.n == answers.known.sum()
    assert check.endless == 0


@pytest.mark.parametrize("form", list(FORMS))
def test_sets_made_of_all_scores_hold_new_answers(form: str) -> None:
    held, rule = [], FORMS[form]  # type: ignore[index]
    random = np.random.default_rng(0)
    for seed in range(20):
        known, new = CASES[form](seed, 300), CASES[form](1000 + seed, 200)
        scores = rule.list_scores(known.prediction, known.value, known.known, random.uniform(size=300))
        sets = rule.make_sets([new.prediction], [scores], 0.1, random.uniform(size=200))
        held.append(rule.find_covered(sets, new.value).mean())
        assert (rule.measure_size(sets) > 0).all()
    assert np.mean(held) == pytest.approx(0.905, abs=0.02)


def test_answers_that_are_too_sure_are_calibrated_and_sound_ones_left() -> None:
    sure = fit_task(FORMS["class"], "t", draw_grades(3, 400, factor=3.0), alpha=0.1)
    assert sure.calibrator is not None
    assert np.exp(-sure.calibrator.numbers[0][1]) == pytest.approx(3, rel=0.25)
    assert sure.check is not None
    assert sure.check.errors is not None
    (before, smooth_before), (after, smooth_after) = sure.check.errors
    assert after < before / 2
    assert smooth_after < smooth_before / 2
    few = fit_task(FORMS["class"], "t", draw_grades(4, 30), alpha=0.1)
    assert few.calibrator is None
    assert few.refused == "it made the log loss of other subjects worse"


def test_visits_of_a_subject_stay_on_one_side() -> None:
    """Twenty subjects with ten visits that all have the answer of their subject: between subjects nothing is known."""
    random, subjects = np.random.default_rng(0), 20
    value = np.repeat(random.normal(size=subjects), 10)
    noise = np.repeat(random.normal(size=subjects), 10)
    answers = PooledAnswers(make_ids(200, 10), {"value": value + noise}, value, np.ones(200, bool))
    check = check_task(FORMS["number"], "t", answers, 0.1, 0)
    assert check is not None
    assert (check.n, check.subjects) == (200, 20)
    # Ten subjects fit, and their largest error bounds that of others in 10 of 11 splits; single visits would say 0.9.
    assert check.coverage.sd > 0.05, "the halves differ by whole subjects"


def test_too_few_subjects_are_not_checked_and_too_few_answers_promise_everything() -> None:
    few = fit_task(FORMS["number"], "t", draw_numbers(0, 3), alpha=0.1)
    assert few.check is None
    sets = FORMS["number"].make_sets([{"value": np.zeros(2)}], [few.scores], 0.1, np.ones(2))
    assert np.isinf(sets.high).all()
    some = fit_task(FORMS["number"], "t", draw_numbers(0, 12), alpha=0.1)
    assert some.check is not None
    assert some.check.endless == 1.0, "half of twelve is fewer than nine"
    assert np.isnan(some.check.size.mean)
    classes = fit_task(FORMS["class"], "t", draw_grades(0, 3), alpha=0.1)
    assert classes.refused.startswith("too few subjects")


def test_several_members_rank_together() -> None:
    rule, random = FORMS["class"], np.random.default_rng(0)
    known = [draw_grades(seed, 150) for seed in range(5)]
    scores = [rule.list_scores(k.prediction, k.value, k.known, random.uniform(size=150)) for k in known]
    new = draw_grades(99, 300)
    draws: Floats = random.uniform(size=300)
    sets = rule.make_sets([new.prediction] * 5, scores, 0.1, draws)
    assert rule.find_covered(sets, new.value).mean() == pytest.approx(0.9, abs=0.05)
