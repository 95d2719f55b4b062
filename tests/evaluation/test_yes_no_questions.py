"""Yes/no questions in answers."""

from __future__ import annotations

import numpy as np

from polytask.evaluation.yes_no_questions import is_yes_no, list_yes_no_questions
from polytask.tasks import make_task
from tests.evaluation.worlds import items

TWO = make_task("t", {"kind": "classification", "level": "visit", "classes": ["no", "yes"]})
THREE = make_task("t", {"kind": "classification", "level": "visit", "classes": ["a", "b", "c"]})
GRADES = make_task("t", {"kind": "ordinal", "level": "visit", "classes": ["a", "b"]})
LABELS = make_task("t", {"kind": "multilabel", "level": "visit", "labels": ["u", "v"]})
NAN = float("nan")


def test_two_classes_and_labels_ask_yes_or_no() -> None:
    assert [is_yes_no(t) for t in (TWO, THREE, GRADES, LABELS)] == [True, False, False, True]
    assert list_yes_no_questions(THREE, items({"p": np.zeros((1, 3))}, [0])) == []


def test_the_second_class_is_yes_and_only_known_items_count() -> None:
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [NAN, NAN]])
    (found,) = list_yes_no_questions(TWO, items({"p": p}, [0, 1, 1, 1], [True, True, False, True]))
    assert (found.label, found.subjects) == ("", ("s0", "s1"))
    assert (found.p.tolist(), found.truth.tolist()) == ([0.1, 0.8], [False, True])


def test_each_label_is_a_question() -> None:
    p = np.array([[0.9, 0.1], [0.2, 0.8]])
    known = np.array([[True, False], [True, True]])
    u, v = list_yes_no_questions(LABELS, items({"p": p}, np.array([[1.0, 0.0], [0.0, 1.0]]), known))
    assert (u.label, u.p.tolist(), u.truth.tolist()) == ("u", [0.9, 0.2], [True, False])
    assert (v.label, v.p.tolist(), v.truth.tolist(), v.subjects) == ("v", [0.8], [True], ("s1",))


def test_nobody_answered_asks_about_nobody() -> None:
    found = list_yes_no_questions(LABELS, items({}, np.zeros(0)))
    assert [(q.label, q.p.size, q.truth.dtype) for q in found] == [
        ("u", 0, np.dtype(bool)),
        ("v", 0, np.dtype(bool)),
    ]
    assert [q.label for q in list_yes_no_questions(TWO, items({}, np.zeros(0)))] == [""]
