"""Reading a run's log: what is there, what is not, and what nobody expects in it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from polytask.errors import PolytaskError
from polytask.evaluation.doctor import doctor_chart as chart_file
from polytask.evaluation.doctor.doctor_chart import DoctorChart
from polytask.evaluation.doctor.training_curves import TrainingCurves, read_log_number
from polytask.training.folder import Run
from tests.evaluation.doctor.worlds import TASKS, World, make_chart, make_epochs, make_look


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


def test_what_a_log_lacks_is_told() -> None:
    both = {"size": 1.0, "grade": 0.5}
    looks = [make_look(k + 1, both) for k in range(5)]
    assert make_chart([*looks, *make_epochs(both, 3)]).longer_log_advice == "train at least 4 epochs"
    assert make_chart([*looks, *make_epochs(both)]).longer_log_advice == ""
    few = make_chart([*looks[:4], *make_epochs(both)])
    assert (few.looks, few.epochs) == (4, 4)
    assert few.longer_log_advice == "record gradients more often with --set training.balance.log_every=4"
    short = make_chart([*looks[:4], *make_epochs(both, per_epoch=2)])
    assert short.longer_log_advice.endswith("log_every=1")
    alone = make_chart(make_epochs({"size": 1.0}), tasks=["size"])
    assert (alone.looks, alone.longer_log_advice) == (0, "")


def test_the_network_with_the_least_counts() -> None:
    both = {"size": 1.0, "grade": 0.5}
    chart = make_chart([make_look(1, both), *make_epochs(both)])
    more = make_chart([*[make_look(k + 1, both) for k in range(6)], *make_epochs(both, 9)])
    two = type(chart)(**{**vars(chart), "courses": (*more.courses, *chart.courses)})
    assert (two.looks, two.epochs) == (1, 4)
    assert two.longer_log_advice.endswith("log_every=9"), "a tenth of the 90 steps of the longest"


def test_a_weight_is_one_unless_it_was_set() -> None:
    chart = World(weights={"size": 3.0}).chart()
    assert (chart.weight("size"), chart.weight("grade")) == (3.0, 1.0)
    assert (chart.is_voxel("lesion"), chart.is_voxel("size")) == (True, False)
    assert chart.command == "polytask train work"


def read_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, lines: str, tasks: list[str] | None = None, fold: int = 0
) -> DoctorChart:
    """The chart of a run of two networks whose log holds these lines."""
    settings = World().chart().settings
    fields = {"size": {**TASKS["size"], "constant": 0.5}, "grade": {**TASKS["grade"], "constant": "odd"}}
    shared = SimpleNamespace(training=settings, model=SimpleNamespace(dropout=0.25))
    plan = SimpleNamespace(folds={0: SimpleNamespace(tasks=fields)}, shared=shared)
    record = {"fold": fold, "networks": {"a": tasks or ["size"], "b": ["grade"]}}
    (folder / "metrics.jsonl").write_text(lines)
    monkeypatch.setattr(chart_file, "Run", SimpleNamespace(read=lambda f: Run(folder, record)))
    monkeypatch.setattr(chart_file.Plan, "read", lambda f: plan)
    return DoctorChart.read(folder)


def test_a_run_is_read_network_by_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = '{"step": 4, "network": "a", "loss": {"size": 0.5}}\n'
    found = read_it(tmp_path, monkeypatch, line)
    assert [(c.name, c.tasks, c.steps) for c in found.courses] == [("a", ("size",), 4), ("b", ("grade",), 0)]
    assert (found.dropout, found.constants["size"]) == (0.25, 0.5)
    assert np.isnan(found.constants["grade"])


def test_a_run_that_does_not_fit_its_plan_or_has_no_log_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = '{"step": 4, "loss": {"size": 0.5}}\n'
    with pytest.raises(PolytaskError, match="fold 3 of the run is not in it"):
        read_it(tmp_path, monkeypatch, line, fold=3)
    with pytest.raises(PolytaskError, match="task 'other' of the run is not in it"):
        read_it(tmp_path, monkeypatch, line, ["other"])
    with pytest.raises(PolytaskError, match="nothing was logged"):
        read_it(tmp_path, monkeypatch, "")
