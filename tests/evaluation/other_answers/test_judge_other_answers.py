"""Somebody's answers beside ours, on the same cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.evaluation.worlds import answers, items

from polytask.errors import PolytaskError
from polytask.evaluation.other_answers.answer_cells import OtherPooledAnswers
from polytask.evaluation.other_answers.answer_columns import TaskAnswerColumns
from polytask.evaluation.other_answers.answer_table import AnswerTable
from polytask.evaluation.other_answers.judge_other_answers import (
    OtherAnswers,
    OtherAnswersResult,
    is_higher,
    judge_other_answers,
    write_other_results,
)
from polytask.tasks import make_task

TASKS: dict[str, Any] = {
    "two": make_task("two", {"kind": "classification", "level": "visit", "classes": ["no", "yes"]}),
    "size": make_task("size", {"kind": "regression", "level": "visit"}),
    "mask": make_task("mask", {"kind": "segmentation", "structures": ["s"], "exclusive": True}),
}


def judge(found: OtherPooledAnswers, rows: int, name: str = "size") -> OtherAnswersResult:
    """Ours: four sizes, each 1 too large; four classes of which one is wrong."""
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.4, 0.6]])
    ours = answers(
        {
            "size": items({"value": np.array([2.0, 3.0, 4.0, 5.0])}, [1.0, 2.0, 3.0, 4.0]),
            "two": items({"p": p}, [0, 1, 1, 1]),
        }
    )
    ids: dict[Any, Any] = {(f"s{k}", ""): None for k in range(rows)}
    table = AnswerTable("reader", Path("r.csv"), {name: TaskAnswerColumns()}, {name: ids}, ("note",))
    cohort: Any = None
    return judge_other_answers(OtherAnswers(table, {name: found}), TASKS, ours, cohort, 20)


def make_given(*who: str, **given: Any) -> OtherPooledAnswers:
    ids = tuple((s, "") for s in who)
    return OtherPooledAnswers(ids, **given, places={i: k for k, i in enumerate(ids)})


def test_both_are_judged_on_the_cases_of_both() -> None:
    found = judge(make_given("s3", "s0", "zz", value=np.array([4.0, 3.0, 9.0])), 3)
    metrics = {j.metric: j for j in found.tasks["size"]}
    assert (metrics["mae"].ours, metrics["mae"].theirs) == (1.0, 1.0)
    assert metrics["rmse"].theirs == pytest.approx(np.sqrt(2))
    assert (metrics["rmse"].difference.estimate, metrics["rmse"].difference.n) == (
        pytest.approx(1 - np.sqrt(2)),
        2,
    )
    assert (found.cases, found.elsewhere, found.ignored) == ({"size": 2}, {"size": 1}, ("note",))
    assert found.tasks["size"][0].metric == "r2"
    assert (metrics["r2"].higher, metrics["mae"].higher) == (True, False)


def test_a_class_alone_has_no_area() -> None:
    called = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    found = judge(make_given("s0", "s1", "s2", called=called), 3, "two")
    metrics = {j.metric: j for j in found.tasks["two"]}
    assert "auc" not in metrics
    assert (metrics["accuracy"].ours, metrics["accuracy"].theirs) == (pytest.approx(2 / 3), 1.0)
    with_p = judge(make_given("s0", "s1", "s2", p=called), 3, "two")
    assert with_p.tasks["two"][0].metric == "auc"
    order = ["." in j.metric for j in with_p.tasks["two"][1:]]
    assert order == sorted(order)


def test_answers_to_nobody_judged_here_are_refused() -> None:
    with pytest.raises(PolytaskError, match="no case in common"):
        judge(make_given("zz", value=np.array([1.0])), 1)


def test_what_is_better_lower() -> None:
    size, mask = TASKS["size"], TASKS["mask"]
    assert [is_higher(size, m) for m in ("r2", "pearson", "mae", "rmse")] == [True, True, False, False]
    assert [is_higher(mask, m) for m in ("dice", "dice.s", "hd95.s", "volume_error")] == [
        True,
        True,
        False,
        False,
    ]
    dose = make_task("d", {"kind": "dose"})
    assert [is_higher(dose, m) for m in ("mae", "dvh")] == [False, False]


def test_each_table_has_its_file(tmp_path: Path) -> None:
    write_other_results({"reader": {"name": "reader", "x": float("nan")}}, tmp_path)
    assert json.loads((tmp_path / "answers_reader.json").read_text()) == {"name": "reader", "x": None}


def test_the_plain_form_holds_every_metric() -> None:
    plain = judge(make_given("s0", value=np.array([3.0])), 1).as_dict()
    assert (plain["polytask"], plain["name"], plain["cases"]) == (1, "reader", {"size": 1})
    found = {j["metric"]: j for j in plain["tasks"]["size"]}
    assert (found["mae"]["ours"], found["mae"]["theirs"]) == (1.0, 2.0)
    assert (found["mae"]["difference"]["estimate"], found["mae"]["difference"]["low"]) == (-1.0, None)
