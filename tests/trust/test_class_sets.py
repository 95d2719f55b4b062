"""Scores and sets by hand, and how often they hold each class."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.array_types import Floats, Indices
from polytask.trust.class_sets import (
    draw_shares,
    group_by_class,
    join_grades,
    make_class_sets,
    score_classes,
    score_grades,
)


def test_a_class_scores_the_mass_up_to_it() -> None:
    p = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
    assert score_classes(p) == pytest.approx(np.array([[1.0, 0.5, 0.8], [0.9, 1.0, 0.8]]))
    # Beyond the first, each further class adds 0.1: second +0.1, third +0.2.
    assert score_classes(p, penalty=0.1, free=1)[0] == pytest.approx([1.2, 0.5, 0.9])


def test_a_grade_scores_the_interval_that_reaches_it() -> None:
    p = np.array([[0.1, 0.2, 0.4, 0.3], [0.5, 0.3, 0.15, 0.05]])
    # From the third grade: right (0.3), then left (0.2), then left (0.1).
    assert score_grades(p) == pytest.approx(np.array([[1.0, 0.9, 0.4, 0.7], [0.5, 0.8, 0.95, 1.0]]))


def test_grades_are_joined_to_an_interval() -> None:
    kept = np.array([[True, False, True, False], [False, False, False, True], [False, True, True, False]])
    assert join_grades(kept).tolist() == [
        [True, True, True, False],
        [False, False, False, True],
        kept[2].tolist(),
    ]


def test_a_class_is_compared_with_its_own_and_a_rare_one_is_always_held() -> None:
    known = {0: np.arange(1, 10) / 10, 1: np.array([0.9])}
    sets = make_class_sets([np.array([[0.9, 0.85], [0.91, 0.95]])], [known], alpha=0.1)
    # Of class 0 the ninth of nine is 0.9; of class 1 a single score says nothing at this level.
    assert sets.kept.tolist() == [[True, True], [False, True]]
    assert sets.empty.tolist() == [False, False]


def test_an_empty_set_holds_the_class_that_fits_best() -> None:
    known = {0: np.arange(1, 10) / 10, 1: np.arange(1, 20) / 20}
    sets = make_class_sets([np.array([[0.95, 0.99]])], [known], alpha=0.1)
    assert (sets.kept.tolist(), sets.empty.tolist()) == ([[True, False]], [True]), "1/10 against 1/20"


def test_a_drawn_part_of_its_own_mass_counts() -> None:
    p = np.array([[0.2, 0.5, 0.3]] * 2)
    assert score_classes(p, np.array([0.0, 0.5])) == pytest.approx(
        np.array([[0.8, 0, 0.5], [0.9, 0.25, 0.65]])
    )
    assert score_grades(p, np.array([0.0, 0.5])) == pytest.approx(
        np.array([[0.8, 0, 0.5], [0.9, 0.25, 0.65]])
    )


def test_a_case_draws_the_same_number_wherever_it_is_asked() -> None:
    ids = [(f"s{k}", "") for k in range(2000)]
    draws = draw_shares(ids, "grade")
    assert draws.tolist() == [draw_shares([i], "grade")[0] for i in ids]
    assert abs(np.corrcoef(draws, draw_shares(ids, "os"))[0, 1]) < 0.1
    assert np.quantile(draws, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.04)


def draw_answers(random: np.random.Generator, count: int, share: float) -> tuple[Floats, Indices, Floats]:
    """Answers of a model that sees the second class badly, the truth, and a draw for each."""
    truth = (random.uniform(size=count) < share).astype(np.int64)
    p = 1 / (1 + np.exp(-random.normal(np.where(truth == 1, -0.5, -2.0), 1.0)))
    return np.stack([1 - p, p], 1), truth, random.uniform(size=count)


def test_a_rare_class_is_held_as_often_as_a_common_one() -> None:
    """95 : 5, α = 0.1, and other frequencies where it is used: k / (n + 1) of each class on average."""
    random = np.random.default_rng(0)
    held: dict[int, list[float]] = {0: [], 1: []}
    expected: dict[int, list[float]] = {0: [], 1: []}
    for _ in range(300):
        p, truth, draws = draw_answers(random, 400, 0.05)
        known = group_by_class(score_classes(p, draws), truth)
        new, true, draws = draw_answers(random, 200, 0.4)
        sets = make_class_sets([score_classes(new, draws)], [known], 0.1)
        kept = sets.kept[np.arange(200), true] & ~sets.empty
        for k in (0, 1):
            n = len(known[k])
            expected[k].append(np.ceil((n + 1) * 0.9 - 1e-9) / (n + 1))
            held[k].append(float(kept[true == k].mean()))
    for k in (0, 1):
        error = np.std(held[k]) / np.sqrt(300)
        assert np.mean(held[k]) >= 0.9 - 3 * error
        assert np.mean(held[k]) == pytest.approx(np.mean(expected[k]), abs=3 * error)
