"""Lower bounds of survival times: against split conformal prediction, drawn censorings, lifelines and known times."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.trust.conformal import find_score_rank
from polytask.trust.survival.bounds import (
    MemberBound,
    MissedCounts,
    bracket_coverage,
    choose_share,
    count_missed,
    find_followed_share,
    fit_bounds,
    make_bounds,
)
from polytask.trust.survival.cases import SHARES, SurvivalCases
from polytask.trust.survival.censoring import CensoringModel, fit_censoring
from polytask.trust.survival.fit_survival import SurvivalMember, SurvivalPlace
from polytask.trust.survival.survival_cells import make_new_bounds
from tests.trust.survival.simulate import draw_survival, make_cox_task

TIMES = np.array([5.0, 8, 8, 12, 3, 7, 9, 15, 11, 6, 14, 10])
EVENTS = np.array([1.0, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0])
RISK = np.array([0.9, -0.2, 0.4, -1.1, 1.3, 0.1, 0.6, -0.8, -0.3, 0.7, -0.5, 0.2])


def test_the_censoring_model_is_that_of_lifelines() -> None:
    """lifelines 0.30.3, `CoxPHFitter(penalizer=11/144)` on the standardized risk (lifelines standardizes it again, with
    n − 1), with events and censorings exchanged; those with an event at the time of a censoring leave just before."""
    model = fit_censoring(RISK, TIMES, EVENTS)
    assert model.ratio == pytest.approx(0.5799838, abs=1e-5)
    assert model.times == (7.0, 8.0, 10.0, 11.0, 12.0, 15.0)
    z = np.exp(model.ratio * (RISK - RISK.mean()) / RISK.std())
    first = 1 / z[TIMES >= 7].sum()
    second = first + 1 / (z[(TIMES > 8) | ((TIMES == 8) & (EVENTS == 0))]).sum()
    assert model.hazard[:2] == pytest.approx((first, second))
    mean = np.array([RISK.mean()])
    assert model.evaluate(mean, np.array([7.0]))[0] == 1, "followed until 7 or longer"
    assert model.evaluate(mean, np.array([7.5]))[0] == pytest.approx(np.exp(-first))
    assert model.find_ends(mean, np.exp(-first) + 1e-6)[0] == 7
    assert model.find_ends(mean, np.exp(-first) - 1e-6)[0] == 8
    assert model.find_ends(mean, 1e-9)[0] == np.inf


def test_without_censoring_nobody_is_lost() -> None:
    model = fit_censoring(RISK, TIMES, np.ones(12))
    assert model.evaluate(RISK, TIMES).min() == 1
    assert np.isinf(model.find_ends(RISK, 0.5)).all()


@pytest.mark.parametrize("count", [9, 30, 64])
def test_without_censoring_it_is_split_conformal_prediction(count: int) -> None:
    """The score is the share by which the event came; the bound is its k-th largest one of n."""
    answers, _ = draw_survival(0, count, censored_rate=0.0)
    cases = SurvivalCases.of(make_cox_task(), answers, 0.1)
    share, (own,) = fit_bounds([cases], 0.1)
    assert own.followed == pytest.approx(1 / np.log(count) if count > 2 else 1)
    rank = count + 1 - find_score_rank(count, 0.1)
    limit = np.sort(cases.passed)[rank - 1]
    # The largest of the shares with fewer than `rank` events before their times.
    expected = SHARES[limit >= SHARES].max(initial=0)
    assert share == pytest.approx(expected)


def test_the_mean_over_drawn_ends_of_follow_up_is_what_is_counted() -> None:
    """Sesia and Svetnik (2025), Algorithm 1: each event gets an end of follow-up drawn from its censoring, given that
    it lies behind the event; who is followed to the candidate counts 1 / P(followed so long)."""
    answers, _ = draw_survival(1, 60)
    cases = SurvivalCases.of(make_cox_task(), answers, 0.1)
    rate = 0.03
    grid = np.linspace(0.01, 400, 20_000)
    model = CensoringModel(0.0, 1.0, 0.0, tuple(grid), tuple(rate * grid))
    counts = count_missed(cases, model, 0.2)
    random, missed, weight, draws = np.random.default_rng(0), 0.0, 0.0, 4000
    bound = np.minimum(cases.quantiles[:, 40], -np.log(0.2) / rate)
    for _ in range(draws):
        end = np.where(cases.events > 0, cases.times + random.exponential(1 / rate, 60), cases.times)
        kept = (bound <= end) / np.exp(-rate * bound)
        missed += float((kept * (cases.times < bound)).sum()) / draws
        weight += float(kept.sum()) / draws
    assert counts.missed[40] == pytest.approx(missed, rel=0.02)
    assert counts.weight[40] == pytest.approx(weight, rel=0.02)


def test_the_largest_share_below_the_level_is_chosen_until_the_first_above() -> None:
    count = len(SHARES)
    missed = np.zeros(count)
    missed[20:] = 8.0
    missed[30:] = 1.0
    counts = MissedCounts(missed, np.full(count, 100.0), np.full(count, 100.0))
    assert choose_share([counts], 0.1) == SHARES[-1], "8 % and one more of 100 is below 10 %"
    missed[20:30] = 9.2
    counts = MissedCounts(missed, np.full(count, 100.0), np.full(count, 100.0))
    assert choose_share([counts], 0.1) == SHARES[19], "it stays closed behind the first that is too large"
    heavy = MissedCounts(missed, np.full(count, 100.0), np.full(count, 10_000.0 / 8))
    assert choose_share([heavy], 0.1) == 0, "weights as uneven as those of eight patients allow no 90 %"
    assert choose_share([heavy, heavy], 0.1) == SHARES[19], "two such folds allow it"


def test_the_bound_is_the_smaller_time_where_enough_are_followed_and_the_lower_median() -> None:
    free = MemberBound(CensoringModel(0.0, 1.0, 0.0), 0.2)
    tight = MemberBound(CensoringModel(0.0, 1.0, 0.0, (3.0,), (9.0,)), 0.2)
    zero = np.zeros(1)
    chosen, plain = [np.array([7.0])], [np.array([5.0])]
    assert make_bounds(0.2, [free], [zero], chosen, plain)[0] == 5
    assert make_bounds(0.2, [free], [zero], plain, chosen)[0] == 5
    assert make_bounds(0.2, [tight], [zero], chosen, plain)[0] == 3
    assert make_bounds(0.0, [free], [zero], chosen, plain)[0] == 0
    four = [np.array([v]) for v in (9.0, 4.0, 6.0, 2.0)]
    assert make_bounds(0.2, [free] * 4, [zero] * 4, four, four)[0] == 4


def test_few_events_make_no_bound() -> None:
    answers, _ = draw_survival(2, 40)
    cases = SurvivalCases.of(make_cox_task(), answers, 0.1)
    some = cases.take(np.concatenate([np.flatnonzero(cases.events)[:8], np.flatnonzero(cases.events == 0)]))
    assert fit_bounds([some], 0.1)[0] == 0
    assert fit_bounds([some], 0.2)[0] > 0
    assert fit_bounds([some, some], 0.1)[0] > 0, "two folds have sixteen"
    none = cases.take(np.zeros(0, np.int64))
    assert fit_bounds([none, cases], 0.1)[0] > 0


def test_the_coverage_is_bracketed_by_what_is_known() -> None:
    bound, times = np.array([5.0, 5, 5, 5]), np.array([5.0, 4, 4, 9])
    assert bracket_coverage(bound, times, np.array([1.0, 1, 0, 0])) == (0.5, 0.75)
    assert find_followed_share(1) == 0.99


@pytest.mark.parametrize("rate", [0.02, 0.1])
@pytest.mark.parametrize(("told", "least"), [(1.0, 0.75), (2.0, 0.5), (0.0, 0.25)])
def test_nine_of_ten_live_beyond_the_bound_whatever_the_model_is_worth(
    rate: float, told: float, least: float
) -> None:
    """About 30 and 60 % are censored, earlier those at higher risk; 30 draws of 150 known patients."""
    task, held, size, known = make_cox_task(), [], [], 150
    for seed in range(30):
        answers, _ = draw_survival(seed, known, rate, told)
        new, truth = draw_survival(1000 + seed, 300, rate, told)
        share, bounds = fit_bounds([SurvivalCases.of(task, answers, 0.1)], 0.1)
        place = SurvivalPlace(share, tuple(SurvivalMember(known, 0, own) for own in bounds))
        bound = make_new_bounds(place, [task], [new.prediction], 0.1)
        held.append((bound <= truth).mean())
        risk = np.random.default_rng(1000 + seed).normal(size=300)
        size.append(bound.mean() / (-np.log(0.9) * 20 / np.exp(risk)).mean())
    error = np.std(held) / np.sqrt(len(held))
    assert np.mean(held) >= 0.9 - 3 * error
    assert np.mean(size) >= least
