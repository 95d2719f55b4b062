"""What the log learns of the tasks' gradients."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.training.gradient_log import SharedSampleCounts, average_over_batches, summarize_gradients

NAN = float("nan")


def test_a_look_by_hand() -> None:
    """Gradients (3, 4) and (0, 2): lengths 5 and 2, cosine 8 / 10."""
    seen = [(np.array([[25.0, 8.0], [8.0, 4.0]]), np.array([0.5, 0.25]))]
    found = summarize_gradients(["a", "b"], seen, [np.array([1.0, 3.0])], None)
    assert found == {
        "losses": {"a": 0.5, "b": 0.25},
        "norms": {"a": 5.0, "b": 2.0},
        "weights": {"a": 1.0, "b": 3.0},
        "cosines": {"a b": pytest.approx(0.8)},
    }
    assert summarize_gradients(["a", "b"], seen, [np.array([1.0, 3.0])], 0.25)["cuts"] == 0.25


def test_batches_are_averaged_over_those_that_have_a_task() -> None:
    first = (np.array([[4.0, 2.0], [2.0, 4.0]]), np.array([1.0, 2.0]))
    second = (np.array([[16.0, NAN], [NAN, NAN]]), np.array([3.0, NAN]))
    found = summarize_gradients(
        ["a", "b"], [first, second], [np.array([1.0, 1.0]), np.array([2.0, NAN])], None
    )
    assert found["norms"] == {"a": 3.0, "b": 2.0}
    assert found["losses"] == {"a": 2.0, "b": 2.0}
    assert found["weights"] == {"a": 1.5, "b": 1.0}
    assert found["cosines"] == {"a b": pytest.approx(0.5)}


def test_a_gradient_of_nothing_has_no_direction() -> None:
    found = summarize_gradients(
        ["a", "b"], [(np.array([[0.0, 0.0], [0.0, 4.0]]), np.ones(2))], [np.ones(2)], None
    )
    assert (found["norms"], found["cosines"]) == ({"a": 0.0, "b": 2.0}, {})
    rounded = summarize_gradients(
        ["a", "b"], [(np.array([[-1e-18, 0.0], [0.0, 4.0]]), np.ones(2))], [np.ones(2)], None
    )
    assert rounded["norms"] == {"a": 0.0, "b": 2.0}
    absent = summarize_gradients(["a"], [(np.array([[NAN]]), np.array([NAN]))], [np.array([NAN])], None)
    assert (absent["norms"], absent["losses"]) == ({}, {})


def test_three_tasks_have_three_pairs() -> None:
    inner = np.array([[1.0, 0.1, 0.2], [0.1, 1.0, 0.3], [0.2, 0.3, 1.0]])
    found = summarize_gradients(["a", "b", "c"], [(inner, np.ones(3))], [np.ones(3)], None)
    assert found["cosines"] == {"a b": 0.1, "a c": 0.2, "b c": 0.3}


def test_a_mean_of_what_is_known() -> None:
    found = average_over_batches([np.array([1.0, NAN, NAN]), np.array([3.0, 4.0, NAN])])
    assert found[:2].tolist() == [2.0, 4.0]
    assert np.isnan(found[2])


def test_steps_with_a_sample_of_both_tasks_are_counted() -> None:
    common = SharedSampleCounts(["a", "b", "c"])
    assert common.shares() == {"a b": 0.0, "a c": 0.0, "b c": 0.0}
    common.add([[1, 2, 0], [2, 1, 0], [0, 0, 0]])
    assert common.shares() == {"a b": 1.0, "a c": 0.0, "b c": 0.0}
    common.add([[1, 1, 0], [1, 1, 3], [0, 3, 1]])
    assert common.shares() == {"a b": 1.0, "a c": 0.0, "b c": 0.5}
    assert common.steps == 2
    assert SharedSampleCounts(["a"]).pairs == []
