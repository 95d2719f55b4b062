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
    assert find_study_shortage(rows(6), EVENLY, [{}] * 3) == "18 subjects; a conclusion needs 20"
    assert (
        find_study_shortage(rows(), EVENLY, [{"events": 4}] * 3)
        == "12 events in 3 folds; a conclusion needs 15"
    )
    rarer = [{"cases of the rarer class": 3}] * 3
    assert (
        find_study_shortage(rows(), EVENLY, rarer)
        == "9 cases of the rarer class in 3 folds; a conclusion needs 12"
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


def test_the_fewest_are_enough() -> None:
    assert find_study_shortage([R.normal(size=(3, 20))], [1.0], [{}]) == ""
    assert find_study_shortage([R.normal(size=(3, 19))], [1.0], [{}]) == "19 subjects; a conclusion needs 20"
    assert find_study_shortage(rows(), EVENLY, [{"rare": 4}] * 3) == ""
    one = find_study_shortage([R.normal(size=(3, 30))], [1.0], [{"events": 4}])
    assert one == "4 events; a conclusion needs 5"


def test_four_subjects_carry_a_word_and_three_do_not() -> None:
    def find(moved: int) -> str:
        values = np.zeros((3, 40))
        values[:, :moved] = 1.0
        values[:, moved : 2 * moved] = -1.0
        return find_study_shortage([values], [1.0], [{}])

    assert find(2) == ""
    assert find(1).startswith("nearly all differences lie in 2 of 40")
    still = np.zeros((3, 40))
    still[:, 0] = 1.0
    assert find_study_shortage([still], [1.0], [{}]).startswith("nearly all differences lie in 1 of 40")


def test_folds_count_by_their_weight_and_size() -> None:
    """Deviations ½ · ±1 / 2 and ½ · ±4 / 4: two of ¼ and four of ½."""
    found = count_moved_subjects([np.array([1.0, -1.0]), np.array([4.0, -4.0, 4.0, -4.0])], [0.5, 0.5])
    assert found == pytest.approx((2 / 16 + 4 / 4) ** 2 / (2 / 256 + 4 / 16))
