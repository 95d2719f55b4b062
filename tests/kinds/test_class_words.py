"""Words of a list: classes, grades and labels, and how cells name them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from polytask.kinds.class_words import (
    decide_class_fields,
    list_answers,
    list_class_needs,
    list_class_strata,
    list_replaced_words,
    make_class_arrays,
    parse_class,
    read_class,
    suggest_merge,
)
from polytask.kinds.classification import ClassificationSpec
from polytask.kinds.kind import MissingInTrain
from polytask.kinds.multilabel import MultilabelSpec
from polytask.kinds.ordinal import OrdinalSpec
from polytask.kinds.plan_reasons import PlanReasons
from polytask.kinds.regression import RegressionSpec


def make_classes(*classes: str, **says: Any) -> ClassificationSpec:
    return ClassificationSpec.model_validate({"kind": "classification", "classes": list(classes), **says})


def test_merged_and_unknown_words_are_no_classes() -> None:
    task = make_classes("a", "b", "3", "x", merge={"3.0": "a"}, unknown=["x"])
    assert list_answers(task) == ["a", "b"]
    assert list_replaced_words(task) == ["3.0", "x"]
    assert [read_class(task, cell) for cell in ("a", "3", "x", "z")] == ["a", "a", "", "z"]
    assert [parse_class(cell, task) for cell in ("a", "b", "3.0", "x")] == [0, 1, 0, None]


def test_two_classes_must_be_left() -> None:
    assert make_classes("a", "b", "c", unknown=["c"]).classes == ["a", "b"]
    with pytest.raises(ValidationError, match="leave 1 class:"):
        make_classes("a", "b", unknown=["b"])
    with pytest.raises(ValidationError, match="leave 0 classes:"):
        make_classes("a", "b", unknown=["a", "b"])


def test_a_merge_leads_to_a_class_that_is_left_and_each_word_is_named_once() -> None:
    assert make_classes("1", "b", "c", merge={"c": "1.0"}).classes == ["1", "b"]
    with pytest.raises(ValidationError, match="not a remaining class"):
        make_classes("a", "b", "c", merge={"x": "c"}, unknown=["c"])
    with pytest.raises(ValidationError, match="occurs twice in `merge` and `unknown`"):
        make_classes("a", "b", "c", merge={"c": "a"}, unknown=["c"])
    with pytest.raises(ValidationError, match="is named twice"):
        make_classes("2", "b", "2.0")


def test_titles_may_name_replaced_words_and_no_others() -> None:
    assert (
        make_classes("a", "b", "c", merge={"c": "b"}, titles={"c": "Gamma", "a": "Alpha"}).titles["c"]
        == "Gamma"
    )
    with pytest.raises(ValidationError, match="which is not a class or label"):
        make_classes("a", "b", titles={"z": "Zed"})


def test_only_tasks_with_words_have_answers_and_replaced_words() -> None:
    labels = MultilabelSpec.model_validate({"kind": "multilabel", "labels": ["u", "v"]})
    grades = OrdinalSpec.model_validate({"kind": "ordinal", "order": ["G1", "G2"]})
    number = RegressionSpec.model_validate({"kind": "regression"})
    assert (list_answers(labels), list_answers(grades), list_answers(number)) == (
        ["u", "v"],
        ["G1", "G2"],
        [],
    )
    assert (list_replaced_words(labels), list_replaced_words(number)) == ([], [])
    assert read_class(labels, "u") == "u"


def test_a_rare_class_may_be_merged_with_the_one_before_it() -> None:
    three, two = make_classes("a", "b", "c"), make_classes("a", "b")
    assert "`merge: {c: b}` (or another class)" in suggest_merge(three, "t", "c", False)
    assert "`merge: {b: a}` or `unknown: [b]` in task 't'" in suggest_merge(three, "t", "b", True)
    assert "`merge: {a: b}`" in suggest_merge(three, "t", "a", True)
    assert suggest_merge(two, "t", "a", True) == "remove the task 't': only one class would remain"


def test_every_class_is_needed_in_train() -> None:
    needs = list_class_needs(make_classes("a", "b", "c"), "t", "column", only_neighbor=True)
    assert [(n.word, n.column) for n in needs] == [("a", "column"), ("b", "column"), ("c", "column")]
    assert all(n.remedy.startswith("add more such subjects, or write `merge") for n in needs)


def test_subjects_are_stratified_by_their_classes() -> None:
    found = list_class_strata(make_classes("a", "b"), {"s1": [0, 1], "s2": [1]})
    assert found == {"s1": {"", "a", "b"}, "s2": {"", "b"}}


def test_an_unknown_class_is_the_first_that_is_not_known() -> None:
    value, known = make_class_arrays([2, None, 0])
    assert (value.tolist(), known.tolist()) == ([2, 0, 0], [True, False, True])
    assert value.dtype == np.int64


def test_shares_of_classes_come_with_their_counts() -> None:
    why = PlanReasons()
    fields = decide_class_fields([0, 0, 1], ["a", "b"], why)
    assert fields == {"frequencies": [0.66667, 0.33333], "balanced": False, "drawn_shares": []}
    assert why.reasons["frequencies"] == "known in train: a 2, b 1"
    with pytest.raises(MissingInTrain, match="class 'c' does not occur"):
        decide_class_fields([0, 1], ["a", "b", "c"], PlanReasons())
