"""A task's number over the usual one of the others."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.evaluation.doctor.task_ratios import (
    average_final_epochs,
    average_known,
    compute_ratio_to_others,
    compute_weighted_gradients,
    find_known_median,
    list_comparable_tasks,
)
from tests.evaluation.doctor.worlds import World

NAN = float("nan")


@pytest.mark.parametrize(
    ("row", "others", "ratio"),
    [
        ([8.0, 2.0, NAN], [1, 2], 4.0),  # one other: its own number
        ([8.0, 2.0, 4.0], [1, 2], 2.0),  # several: the middle one of 8, 2 and 4
        ([8.0, 2.0, 0.0], [1, 2], 4.0),  # another at 0 does not count
        ([8.0, 0.0, NAN], [1, 2], NAN),
        ([NAN, 2.0, 4.0], [1, 2], NAN),
        ([8.0, 2.0, 4.0], [], NAN),
    ],
)
def test_usual_is_the_other_or_the_middle_one(row: list[float], others: list[int], ratio: float) -> None:
    np.testing.assert_allclose(compute_ratio_to_others(np.array([row]), 0, others), [ratio])


def test_a_gradient_of_0_is_far_below_and_not_undefined() -> None:
    assert 0 < compute_ratio_to_others(np.array([[0.0, 1.0]]), 0, [1])[0] < 1e-9


def test_at_the_features_a_task_is_compared_with_its_like() -> None:
    chart = World().chart()
    assert list_comparable_tasks(chart, chart.courses[0], 0) == [], "the only mask"
    assert list_comparable_tasks(chart, chart.courses[0], 1) == [2, 3]
    chart = World(cut="parameters").chart()
    assert list_comparable_tasks(chart, chart.courses[0], 1) == [0, 2, 3]


def test_pulls_are_weight_times_gradient_and_0_without_weight() -> None:
    course = (
        World(tasks=("grade", "size"), rule="fixed", weights={"grade": 0.0, "size": 2.0}).chart().courses[0]
    )
    found = compute_weighted_gradients(course)
    assert not found[:, 0].any()
    np.testing.assert_allclose(found[:, 1], 2 * course.norms[:, 1])


def test_means_leave_out_what_is_not_there() -> None:
    values = np.array([1.0, NAN, 2.0, 6.0])
    assert (average_known(values), find_known_median(values)) == (3.0, 2.0)
    assert np.isnan([average_known(np.array([NAN])), find_known_median(np.array([]))]).all()
    assert average_final_epochs(np.array([9.0, 9.0, 9.0, 9.0, 1.0, 3.0])) == 2.0, "the last third"
    assert average_final_epochs(np.array([5.0])) == 5.0
