from __future__ import annotations

import numpy as np
import pytest

from polytask.statistics.too_few import count_moved_subjects, find_study_shortage

R = np.random.default_rng(0)
EVENLY = [1 / 3] * 3


def rows(n: int = 20, seeds: int = 3) -> list[np.ndarray]:
    return [R.normal(size=(seeds, n)) for _ in range(3)]


def test_enough_is_enough() -> None:
    assert find_study_shortage(rows(), EVENLY, [{}] * 3) == ""
    assert find_study_shortage(rows(), EVENLY, [{"events": 5}] * 3) == ""
    assert find_study_shortage(rows(), EVENLY, [{"events": 9}, {"events": 2}, {"events": 4}]) == ""


def test_what_is_too_few_is_named() -> None:
    assert find_study_shortage(rows(6), EVENLY, [{}] * 3) == "18 subjects; a word takes 20"
    assert find_study_shortage(rows(), EVENLY, [{"events": 4}] * 3) == "12 events in 3 folds; a word takes 15"
    rarer = [{"cases of the rarer class": 3}] * 3
    assert (
        find_study_shortage(rows(), EVENLY, rarer) == "9 cases of the rarer class in 3 folds; a word takes 12"
    )


def test_differences_of_two_subjects_are_too_few() -> None:
    still = [0.001 * x for x in rows()]
    still[0][:, 4] += 30
    still[2][:, 7] -= 25
    assert find_study_shortage(still, EVENLY, [{}] * 3).startswith(
        "nearly all differences lie in 2 of 60 subjects"
    )


def test_subjects_who_carry_the_variance() -> None:
    many = [R.normal(size=4000) for _ in range(3)]
    assert count_moved_subjects(many, EVENLY) == pytest.approx(4000, rel=0.1)  # a third of 12,000
    alike = [np.tile([1.0, -1.0], 10)]
    assert count_moved_subjects(alike, [1.0]) == pytest.approx(20)
    assert count_moved_subjects([np.ones(9)], [1.0]) == 9
