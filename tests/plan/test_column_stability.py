"""Halves of the subjects, the threshold in a half, and what limits the number of columns."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from lifelines import NelsonAalenFitter
from scipy import stats

from polytask.plan.rules.association import compute_log_rank_scores, compute_subset_z, rank_columns
from polytask.plan.rules.column_evidence import collect_answers
from polytask.plan.rules.column_stability import compute_half_threshold, draw_half_samples
from tests.plan.molecular import basis_of, cells_of, names, world


@pytest.mark.parametrize(("columns", "tasks", "answers"), [(1000, 1, 1), (20_000, 3, 1), (500, 2, 3)])
def test_the_threshold_keeps_the_bound_of_shah_and_samworth(columns: int, tasks: int, answers: int) -> None:
    """E(unrelated) <= C q² / p with q = θ p columns found by chance in a half, C = 1 / (2 (2 · 0.75 − 1 − 1 / 100))."""
    threshold = compute_half_threshold(columns, tasks, answers)
    q = answers * 2 * (1 - NormalDist().cdf(threshold)) * columns
    assert tasks * q**2 / columns / (2 * (0.5 - 0.01)) == pytest.approx(1, rel=1e-6)


def test_halves_are_of_subjects_and_complementary() -> None:
    owners = np.repeat(np.arange(9), [1, 2, 3, 1, 1, 1, 4, 1, 1])
    halves = draw_half_samples(owners)
    assert halves.shape == (100, 15)
    for one, two in zip(halves[::2], halves[1::2], strict=True):
        assert len(set(owners[one])) == one.sum() == 4
        assert len(set(owners[two])) == two.sum() == 4
        assert not set(owners[one]) & set(owners[two])
    assert (halves.any(0)).all(), "every visit is drawn now and then"
    assert (halves == draw_half_samples(owners)).all()


def test_correlations_within_subsets_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    values = np.where(rng.random((40, 6)) < 0.2, np.nan, rng.normal(size=(40, 6)))
    ranked, answer = rank_columns(values), np.where(rng.random(40) < 0.1, np.nan, rng.normal(size=40))
    subsets = rng.random((5, 40)) < 0.5
    found = compute_subset_z(ranked, answer, subsets)
    for row, subset in zip(found, subsets, strict=True):
        for z, column in zip(row, ranked.T, strict=True):
            k = subset & ~np.isnan(column) & ~np.isnan(answer)
            expected = abs(stats.pearsonr(column[k], answer[k]).statistic) * np.sqrt(k.sum() - 1)
            assert z == pytest.approx(expected, rel=1e-9)


def test_log_rank_scores_are_events_less_the_hazard_of_lifelines() -> None:
    rng = np.random.default_rng(1)
    time, event = rng.permutation(50) + 1.0, (rng.random(50) < 0.6).astype(float)
    hazard = NelsonAalenFitter().fit(time, event).cumulative_hazard_at_times(time).to_numpy()
    np.testing.assert_allclose(compute_log_rank_scores(time, event), event - hazard, rtol=1e-9)


def test_log_rank_scores_with_ties_sum_to_the_score_of_cox() -> None:
    """Breslow: at each event, the covariate less its mean among those at risk."""
    rng = np.random.default_rng(2)
    time, event = rng.integers(1, 12, 40).astype(float), (rng.random(40) < 0.7).astype(float)
    x = rng.normal(size=40)
    score = sum(x[i] - x[time >= time[i]].mean() for i in np.flatnonzero(event))
    assert compute_log_rank_scores(time, event) @ x == pytest.approx(score, rel=1e-9)


def test_events_and_the_rarer_class_limit_the_columns() -> None:
    """60 subjects: grades and types 20 each; marks.x 30 of 60; the events are counted."""
    cells = cells_of(60, names(1))
    events = sum(row["os_event"] == "1" for row in cells)
    found = {a.task: (*a.count_events(), a.limit) for a in collect_answers(basis_of(world(names(1), cells)))}
    assert found == {
        "grade": (40, "cases outside the most frequent class", 4),
        "type": (40, "cases outside the most frequent class", 4),
        "marks": (30, "cases of the rarer value of a label", 3),
        "size": (60, "known answers", 6),
        "os": (events, "observed events", events // 10),
    }


def test_a_task_with_few_events_bears_one_column() -> None:
    cells = [{**row, "os_event": str(int(i < 3))} for i, row in enumerate(cells_of(20, names(1)))]
    (answers,) = collect_answers(basis_of(world(names(1), cells, tasks=["os"])))
    assert answers.count_events() == (3, "observed events")
    assert answers.limit == 1
