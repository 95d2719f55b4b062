"""Cut-offs and operating points as a run keeps them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from polytask.errors import PolytaskError
from polytask.tasks import make_task
from polytask.training.decisions import (
    DECISIONS_FILE,
    Decisions,
    OperatingPoint,
    merge_decisions,
    read_decisions,
    write_decisions,
)


def point(threshold: float, target: float = 0.9, label: str = "") -> OperatingPoint:
    return OperatingPoint(label, "sensitivity", target, threshold, 20, 12)


def test_they_come_back_as_they_were(tmp_path: Path) -> None:
    assert read_decisions(tmp_path) == Decisions()
    found = Decisions(
        {"os": (0.1, 0.5)}, {"response": (point(0.3),), "findings": (point(0.2, label="cyst"),)}
    )
    write_decisions(tmp_path, found)
    assert read_decisions(tmp_path) == found


@pytest.mark.parametrize(
    "broken",
    ["[", "{}", '{"cutoffs": {}, "operating_points": {"a": [{"threshold": 1}]}}', '{"cutoffs": [], "x": 1}'],
)
def test_a_broken_file_is_one_line(tmp_path: Path, broken: str) -> None:
    (tmp_path / DECISIONS_FILE).write_text(broken)
    with pytest.raises(PolytaskError, match="expected the decisions of a run; restore the file"):
        read_decisions(tmp_path)


def test_a_threshold_outside_of_probabilities_is_refused(tmp_path: Path) -> None:
    content = Decisions({}, {"a": (point(0.3),)}).as_dict()
    content["operating_points"]["a"][0]["threshold"] = 7
    (tmp_path / DECISIONS_FILE).write_text(json.dumps(content))
    with pytest.raises(PolytaskError, match="operating point of a"):
        read_decisions(tmp_path)


def test_training_a_task_again_forgets_what_was_chosen_for_its_weights_before() -> None:
    before = Decisions({"os": (0.1,), "dfs": (0.2,)}, {"response": (point(0.3),), "other": (point(0.4),)})
    after = before.with_cutoffs({"os": [0.7]}, ["os", "response"])
    assert after.cutoffs == {"os": (0.7,), "dfs": (0.2,)}
    assert set(after.points) == {"other"}


def test_the_same_question_asked_again_replaces_its_answer() -> None:
    found = Decisions().with_points("a", [point(0.3), point(0.1, 0.95)]).with_points("a", [point(0.4)])
    assert [p.threshold for p in found.points["a"]] == [0.1, 0.4]
    assert [p.name for p in found.points["a"]] == ["at_sensitivity_95", "at_sensitivity_90"]
    assert point(0.2, label="cyst").name == "at_sensitivity_90.cyst"


def test_an_ensemble_takes_the_mean_of_what_all_members_have() -> None:
    one = Decisions({"os": (0.0, 1.0), "dfs": (0.0,)}, {"a": (point(0.2), point(0.3, 0.95))})
    two = Decisions({"os": (1.0, 2.0), "dfs": (0.0, 1.0)}, {"a": (point(0.4),)})
    found = merge_decisions([one, two])
    assert found.cutoffs == {"os": (0.5, 1.5)}
    assert [(p.threshold, p.n, p.positives) for p in found.points["a"]] == [(pytest.approx(0.3), 40, 24)]
    assert merge_decisions([one]) is one


def test_what_a_task_cannot_have_is_found() -> None:
    tasks = {
        "os": make_task("os", {"kind": "survival", "level": "subject"}),
        "response": make_task(
            "response", {"kind": "classification", "level": "subject", "classes": ("no", "yes")}
        ),
        "findings": make_task("findings", {"kind": "multilabel", "level": "visit", "labels": ("cyst",)}),
    }
    fine = Decisions({"os": (0.1,)}, {"response": (point(0.3),), "findings": (point(0.3, label="cyst"),)})
    fine.ensure_fit(tasks)
    for wrong in (
        Decisions({"response": (0.1,)}),
        Decisions({"dfs": (0.1,)}),
        Decisions({}, {"os": (point(0.3),)}),
        Decisions({}, {"findings": (point(0.3, label="stone"),)}),
        Decisions({}, {"response": (point(0.3, label="yes"),)}),
    ):
        with pytest.raises(ValueError, match="of"):
            wrong.ensure_fit(tasks)


@pytest.mark.parametrize("cuts", [[1.0, 0.0], [0.0, 1.0, 2.0], [float("inf")]])
def test_cut_offs_that_part_nothing_are_refused(cuts: list[float]) -> None:
    with pytest.raises(ValueError, match="cut-offs of os"):
        Decisions.from_dict({"cutoffs": {"os": cuts}, "operating_points": {}})


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_thresholds_may_be_never_and_always(threshold: float) -> None:
    content = Decisions({}, {"a": (point(threshold),)}).as_dict()
    assert Decisions.from_dict(content).points["a"][0].threshold == threshold
    assert content["polytask"] == 1


@pytest.mark.parametrize(("field", "value"), [("threshold", -0.1), ("threshold", 1.1), ("aim", "ppv")])
def test_odd_points_are_refused(field: str, value: object) -> None:
    content = Decisions({}, {"a": (point(0.3),)}).as_dict()
    content["operating_points"]["a"][0][field] = value
    with pytest.raises(ValueError, match="operating point of a"):
        Decisions.from_dict(content)


@pytest.mark.parametrize("cuts", [[], [0.5], [-1.0, 2.0]])
def test_up_to_two_cut_offs_that_rise_are_fine(cuts: list[float]) -> None:
    assert Decisions.from_dict({"cutoffs": {"os": cuts}, "operating_points": {}}).cutoffs == {
        "os": tuple(cuts)
    }


@pytest.mark.parametrize("cuts", [[0.5, 0.5], [-float("inf")], [float("nan")]])
def test_cut_offs_that_do_not_rise_are_refused(cuts: list[float]) -> None:
    with pytest.raises(ValueError, match="cut-offs of os"):
        Decisions.from_dict({"cutoffs": {"os": cuts}, "operating_points": {}})


def test_a_point_that_some_member_lacks_is_none_of_the_ensemble() -> None:
    one = Decisions({}, {"a": (point(0.2),), "b": (point(0.3),)})
    two = Decisions({}, {"a": (point(0.4, 0.8),)})
    assert merge_decisions([one, two]).points == {}
    assert merge_decisions([one, one, one]).points["a"][0].n == 60


def test_a_task_with_three_classes_has_no_point() -> None:
    three = make_task("t", {"kind": "classification", "level": "visit", "classes": ("a", "b", "c")})
    with pytest.raises(ValueError, match="operating point of t"):
        Decisions({}, {"t": (point(0.3),)}).ensure_fit({"t": three})
