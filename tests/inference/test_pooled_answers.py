"""Predictions of visit and subject tasks, joined with their truth."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.header import Header
from polytask.inference.pooled_answers import PooledAnswers, PooledCollector
from polytask.tasks import make_task
from polytask.tasks.task import Task

TASKS: dict[str, Task] = {
    "size": make_task("size", {"kind": "regression", "level": "visit"}),
    "pcr": make_task("pcr", {"kind": "classification", "level": "subject", "classes": ("no", "yes")}),
    "mask": make_task("mask", {"kind": "segmentation", "structures": ("s",), "exclusive": True}),
}
HEADER = Header.model_validate(
    {
        "polytask": 1,
        "name": "c",
        "visits": ["before", "after"],
        "inputs": {"clinic": {"kind": "table", "columns": {"age": {"type": "number"}}}},
        "tasks": {
            "size": {"kind": "regression", "level": "visit"},
            "pcr": {"kind": "classification", "level": "subject", "classes": ["no", "yes"]},
        },
    }
)


def make_case(subject: str, visit: str, **cells: str) -> Case:
    return Case(subject=subject, visit=visit, day=None, site="", test=False, row=1, cells=cells)


@pytest.fixture
def cohort(tmp_path: Any) -> Cohort:
    cases = (
        make_case("b", "after", size="4"),
        make_case("b", "before", size="3", pcr="yes"),
        make_case("a", "before"),
    )
    return Cohort(HEADER, tmp_path, tmp_path / "cases.csv", ("size", "pcr"), cases)


def test_answers_are_joined_with_their_truth_by_subject_and_visit(cohort: Cohort) -> None:
    collector = PooledCollector(cohort, TASKS)
    for case_id, answer in ((("b", "before"), 1.0), (("a", "before"), 2.0), (("b", "after"), 3.0)):
        collector.add("size", case_id, {"value": np.array([answer])})
    for subject in ("a", "b"):
        collector.add("pcr", (subject, ""), {"p": np.array([[0.25, 0.75]])})
    answers = collector.stack()
    assert set(answers) == {"size", "pcr"}
    assert answers["size"].ids == (("b", "before"), ("a", "before"), ("b", "after"))
    assert answers["size"].prediction["value"].tolist() == [1.0, 2.0, 3.0]
    assert answers["size"].value[[0, 2]].tolist() == [3.0, 4.0]
    assert answers["size"].known.tolist() == [True, False, True]
    assert answers["pcr"].known.tolist() == [False, True]
    assert answers["pcr"].value[1] == 1
    assert answers["pcr"].prediction["p"].shape == (2, 2)


def test_what_a_network_predicted_for_a_sample_is_named_by_its_slots(cohort: Cohort) -> None:
    collector = PooledCollector(cohort, TASKS)
    sample: Any = SimpleNamespace(subject="b", visits=("before", "after"))
    slots = {slot: {"value": torch.tensor([float(slot)])} for slot in (0, 1)}
    mask = {0: {"p": torch.zeros(1, 2, 3, 3)}}
    collector.add_sample(sample, {"size": slots, "pcr": {-1: {"p": torch.ones(1, 2)}}, "mask": mask})
    answers = collector.stack()
    assert answers["size"].ids == (("b", "before"), ("b", "after"))
    assert answers["size"].value.tolist() == [3.0, 4.0]
    assert answers["pcr"].ids == (("b", ""),)


def test_answers_are_stacked_without_arrays_of_another_length_for_each_slide(cohort: Cohort) -> None:
    collector = PooledCollector(cohort, TASKS)
    for case_id, patches in ((("b", "before"), 3), (("b", "after"), 7)):
        attention = {"patches.slide": np.zeros((1, patches)), "places.slide": np.zeros((1, patches, 2))}
        collector.add("size", case_id, {"value": np.array([1.0])} | attention)
    assert list(collector.stack()["size"].prediction) == ["value"]


def test_a_task_without_any_answer_has_no_items(cohort: Cohort) -> None:
    empty = PooledCollector(cohort, TASKS).stack()["size"]
    assert (empty.ids, empty.prediction, len(empty.value), len(empty.known)) == ((), {}, 0, 0)
    assert empty.known.dtype == bool
    assert PooledAnswers.stack([]).ids == ()
