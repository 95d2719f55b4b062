"""Metrics of drawn subjects."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.evaluation.part_answers import CaseMetrics, PartAnswers
from polytask.evaluation.part_statistic import CaseMetricMatrix, PartStatistic, is_metric
from polytask.tasks import make_task
from polytask.tasks.task import Task
from tests.evaluation.worlds import answers, items

NAN = float("nan")
SIZE: Task = make_task("size", {"kind": "regression", "level": "visit"})
MASK: Task = make_task("mask", {"kind": "segmentation", "structures": ["s"], "exclusive": True})
LABELS: Task = make_task("finds", {"kind": "multilabel", "level": "visit", "labels": ["u", "v"]})


def make_statistic() -> PartStatistic:
    """Three subjects: a has two visits of `size`, c none; b and c a mask, whose Dice b does not define."""
    size = items({"value": np.array([1.0, 2.0, 5.0])}, [1.0, 3.0, 5.0], subjects=["a", "a", "b"])
    mask = CaseMetrics(
        (("b", ""), ("c", "")), ({"n": 1.0, "dice": NAN, "volume": 3.0}, {"n": 1.0, "dice": 0.8})
    )
    given = PartAnswers({"a": "", "b": "", "c": ""}, {"size": size}, {"mask": mask}, {})
    return PartStatistic({"size": SIZE, "mask": MASK}, given, ["c", "a", "b"])


def test_items_follow_the_drawn_subjects() -> None:
    statistic = make_statistic()
    assert [p.tolist() for p in statistic.places["size"]] == [[], [0, 1], [2]]
    assert statistic.items("size", np.array([2, 1, 2])).tolist() == [2, 0, 1, 2]
    assert statistic.items("size", np.array([], np.int64)).tolist() == []


def test_metrics_of_all_and_of_some() -> None:
    statistic = make_statistic()
    assert statistic.whole["size"]["mae"] == pytest.approx(1 / 3)
    assert statistic.task("size", np.array([2]))["mae"] == 0.0
    nothing = statistic.task("size", np.array([0]))
    assert np.isnan([nothing["r2"], nothing["skill"]]).all()
    assert statistic.whole["mask"]["dice"] == 0.8
    assert np.isnan(statistic.task("mask", np.array([2]))["dice"])


def test_the_mean_skill_is_of_the_tasks_with_a_skill_on_all() -> None:
    statistic = make_statistic()
    r2 = 1 - 1 / 8
    assert statistic.skilled == ["size", "mask"]
    found = statistic(np.arange(3))
    assert found["/skill"] == pytest.approx((r2 + 0.8) / 2)
    assert "mask/volume" not in found
    assert "size/n" not in found
    assert np.isnan(statistic(np.array([1]))["/skill"]), "no mask among the drawn"
    one_sided = PartStatistic({"size": SIZE}, make_statistic().answers, ["c"])
    assert one_sided.skilled == []
    assert np.isnan(one_sided(np.array([0]))["/skill"])


def test_known_items_are_counted_where_a_metric_is_defined() -> None:
    statistic = make_statistic()
    assert (statistic.n("size", "mae"), statistic.n("size", "nothing")) == (3, 0)
    assert (statistic.n("mask", "dice"), statistic.n("mask", "skill")) == (1, 1)
    known = np.array([[True, False], [True, True], [True, True]])
    found = items(
        {"p": np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.2]])}, np.array([[1, 0], [0, 1], [0, 0]]), known
    )
    labels = PartStatistic({"finds": LABELS}, answers({"finds": found}), ["s0", "s1", "s2"])
    assert [labels.n("finds", m) for m in ("auc", "auc.u", "auc.v")] == [3, 3, 2]


def test_a_table_of_cases_has_means_of_what_is_defined() -> None:
    cases = CaseMetrics(
        (("a", ""), ("b", ""), ("c", "")), ({"dice": 0.5, "n": 1.0}, {"dice": 1.0}, {"hd95": 3.0})
    )
    table = CaseMetricMatrix(cases, "dice")
    assert table.names == ["dice", "hd95"]
    assert table(np.array([0, 1, 2])) == {"dice": 0.75, "hd95": 3.0}
    assert table(np.array([0, 0, 1]))["dice"] == pytest.approx(2 / 3)
    assert np.isnan(table(np.array([0]))["hd95"])
    assert (table.n("dice", np.arange(3)), table.n("hd95", np.arange(3)), table.n("skill", np.arange(3))) == (
        2,
        1,
        2,
    )


def test_counts_and_properties_of_the_truth_are_no_metrics() -> None:
    for name in ("n", "n.u", "events", "volume.s", "empty_truth.s", "empty_answer"):
        assert not is_metric(name)
    assert is_metric("dice.s")
    assert is_metric("volume_error")
