"""Reading a run's log: what is there, what is not, and what nobody expects in it."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.evaluation.doctor.training_curves import TrainingCurves, read_log_number
from tests.evaluation.doctor.worlds import World


def test_numbers_stand_where_their_task_does() -> None:
    look = {
        "losses": {"a": 0.5, "b": 0.25},
        "norms": {"a": 2.0, "b": 1.0},
        "weights": {"a": 1.0, "b": 3.0},
        "cosines": {"a b": -0.5},
    }
    entries = [
        {"step": 1, "gradients": look},
        {
            "step": 11,
            "gradients": {"losses": {"b": 1.0}, "norms": {"b": 4.0}, "weights": {"b": 1.0}, "cosines": {}},
        },
        {
            "step": 20,
            "loss": {"a": 0.7, "b": None, "norm": 2.0},
            "common": {"a b": 0.5},
            "present": {"a": 0.9, "b": 0.0},
        },
        {
            "step": 30,
            "loss": {"a": 0.6, "norm": 4.0},
            "common": {"a b": 0.8},
            "present": {"a": 0.6, "b": 0.3},
            "tune": {"skill": 0.1, "a": {"dice": 0.2}},
        },
    ]
    course = TrainingCurves.of("", ("b", "a"), entries)
    np.testing.assert_equal(course.losses, [[0.25, 0.5], [1.0, np.nan]])
    np.testing.assert_equal(course.norms, [[1.0, 2.0], [4.0, np.nan]])
    np.testing.assert_equal(course.weights, [[3.0, 1.0], [1.0, np.nan]])
    np.testing.assert_equal(course.cosines["b", "a"], [-0.5, np.nan])
    np.testing.assert_equal(course.means, [[np.nan, 0.7], [np.nan, 0.6]])
    np.testing.assert_equal(course.lengths, [2.0, 4.0])
    np.testing.assert_allclose(course.common()["b", "a"], (20 * 0.5 + 10 * 0.8) / 30)
    assert course.present() == {"a": pytest.approx(0.8), "b": pytest.approx(0.1)}
    older = [{k: v for k, v in e.items() if k != "present"} if e["step"] == 20 else e for e in entries]
    assert TrainingCurves.of("", ("b", "a"), older).present() == {
        "a": pytest.approx(0.6),
        "b": pytest.approx(0.3),
    }
    assert list(course.list_tune_metrics()) == [(30, {"a": {"dice": 0.2}})]
    assert course.steps == 30


def test_an_odd_log_is_no_reason_to_fail() -> None:
    odd = [
        {"step": 1, "gradients": {}},
        {"step": 2, "gradients": {"losses": "x", "norms": None}},
        {"step": None, "loss": {"a": "high"}, "tune": {"skill": None, "a": 3}, "common": {"a b": None}},
        {"step": 3, "skipped": "something else"},
    ]
    course = TrainingCurves.of("", ("a", "b"), odd)
    assert course.losses.shape == (2, 2)
    assert not np.isfinite(course.losses).any()
    assert course.common() == {}
    empty = TrainingCurves.of("", ("a", "b"), [])
    assert empty.steps == 0
    assert empty.means.shape == empty.losses.shape == (0, 2)


def test_what_is_no_number_is_not_a_number() -> None:
    assert read_log_number(2) == 2.0
    assert all(np.isnan(read_log_number(v)) for v in (None, "1", True, [1], {}))


def test_rules_that_read_gradients() -> None:
    reads = {
        r: World(rule=r).chart().reads_gradients
        for r in ("equal", "uncertainty", "famo", "upgrad", "graddrop")
    }
    assert reads == {"equal": False, "uncertainty": False, "famo": False, "upgrad": True, "graddrop": True}


def test_a_rate_far_above_is_not_just_divided() -> None:
    chart = World().chart()
    assert np.isclose(chart.lower_learning_rate, 1e-3 / 3)
    wild = chart.settings.model_copy(update={"rate": 10.0})
    assert type(chart)(**{**vars(chart), "settings": wild}).lower_learning_rate == 1e-3
