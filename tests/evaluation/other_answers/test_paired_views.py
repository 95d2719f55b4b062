"""What a table of answers can be judged by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.evaluation.worlds import items

from polytask.evaluation.other_answers.answer_cells import OtherPooledAnswers
from polytask.evaluation.other_answers.paired_views import (
    has_better_end,
    list_judged_ids,
    list_pooled_views,
    list_voxel_views,
    wrap_view_side,
)
from polytask.evaluation.part_answers import CaseMetrics
from polytask.inference.pooled_answers import PooledAnswers
from polytask.tasks import make_task

IDS = (("s0", ""), ("s1", ""), ("s2", ""))
CENSORING = {"times": (400.0,), "survival": (0.9,)}


def survival(loss: str) -> Any:
    fields = {"kind": "survival", "level": "subject", "horizons": [365, 730], "unit": "days", "loss": loss}
    bins = {"bins": (365.0, 730.0), "hazards": (0.1, 0.1)} if loss == "hazard" else {}
    return make_task("os", {**fields, "censoring": CENSORING, **bins})


def ours() -> PooledAnswers:
    return items({"risk": np.zeros(3), "p": np.full((3, 2), 0.5)}, [[100.0, 1], [500.0, 0], [900.0, 1]])


def given(**answers: Any) -> OtherPooledAnswers:
    return OtherPooledAnswers(IDS, **answers, places={who: k for k, who in enumerate(IDS)})


def list_wanted(task: Any, theirs: OtherPooledAnswers) -> list[list[str]]:
    names = ["c", "auc.T365", "auc.T730", "brier.T365", "brier.T730"]
    return [[n for n in names if view.includes_metric(n)] for view in list_pooled_views(task, ours(), theirs)]


RISK, P = np.array([1.0, 2.0, 3.0]), np.array([[0.1, np.nan], [0.2, np.nan], [0.3, np.nan]])


@pytest.mark.parametrize(
    ("loss", "answers", "wanted"),
    [
        ("cox", {"risk": RISK}, [["c", "auc.T365", "auc.T730"]]),
        ("cox", {"p": P}, [["auc.T365", "brier.T365"]]),
        ("cox", {"p": P[:, ::-1]}, [["auc.T730", "brier.T730"]]),
        ("cox", {"risk": RISK, "p": P}, [["c", "auc.T365", "auc.T730"], ["brier.T365"]]),
        ("hazard", {"risk": RISK}, [["c"]]),
        ("hazard", {"risk": RISK, "p": P}, [["c"], ["auc.T365", "brier.T365"]]),
    ],
)
def test_a_risk_gives_c_and_a_probability_what_stands_at_its_horizon(
    loss: str, answers: dict[str, Any], wanted: list[list[str]]
) -> None:
    assert list_wanted(survival(loss), given(**answers)) == wanted


def test_cases_without_an_answer_are_left_out_on_both_sides() -> None:
    (view,) = list_pooled_views(survival("cox"), ours(), given(risk=np.array([1.0, np.nan, 3.0])))
    assert view.ours.ids == view.theirs.ids == (IDS[0], IDS[2])


@pytest.mark.parametrize(
    ("metric", "judged"),
    [
        ("dice", True),
        ("dice.core", True),
        ("hd95", True),
        ("dvh", True),
        ("dvh.cord.D95", False),
        ("volume_error", False),
        ("volume_error.core", False),
        ("skill", False),
        ("n", False),
    ],
)
def test_signed_errors_and_counts_are_not_better_or_worse(metric: str, judged: bool) -> None:
    assert has_better_end(metric) == judged


def test_masks_are_compared_on_the_cases_of_both() -> None:
    mine = CaseMetrics((IDS[0], IDS[1]), ({"dice": 0.1}, {"dice": 0.2}))
    (view,) = list_voxel_views(mine, CaseMetrics((IDS[1],), ({"dice": 0.8},)))
    assert isinstance(view.ours, CaseMetrics)
    assert view.ours.ids == view.theirs.ids == (IDS[1],)
    assert view.ours.metrics == ({"dice": 0.2},)
    assert list_voxel_views(mine, CaseMetrics((), ())) == []


TWO = make_task("two", {"kind": "classification", "level": "visit", "classes": ["no", "yes"]})
LABELS = make_task("finds", {"kind": "multilabel", "level": "visit", "labels": ["u", "v"]})
SIZE = make_task("size", {"kind": "regression", "level": "visit"})
NAN = float("nan")


def test_a_class_that_was_named_goes_before_the_probabilities() -> None:
    mine = items({"p": np.full((3, 2), 0.5)}, [0, 1, 1])
    p = np.array([[0.9, 0.1], [0.8, 0.2], [NAN, NAN]])
    called = np.array([[0.0, 1.0], [NAN, NAN], [1.0, 0.0]])
    ranked, named = list_pooled_views(TWO, mine, given(p=p, called=called))
    assert [ranked.includes_metric(m) for m in ("auc", "auc.a", "accuracy")] == [True, True, False]
    assert [named.includes_metric(m) for m in ("auc", "accuracy", "n")] == [False, True, False]
    assert ranked.theirs.ids == IDS[:2]
    assert isinstance(named.theirs, PooledAnswers)
    assert named.theirs.prediction["p"].tolist() == [[0, 1], [0.8, 0.2], [1, 0]]


def test_labels_that_were_not_answered_are_left_out_on_both_sides() -> None:
    mine = items(
        {"p": np.full((3, 2), 0.5)}, np.ones((3, 2)), np.array([[True, True], [True, False], [True, True]])
    )
    called = np.array([[1.0, NAN], [0.0, 1.0], [NAN, NAN]])
    (view,) = list_pooled_views(LABELS, mine, given(called=called))
    assert isinstance(view.ours, PooledAnswers)
    assert isinstance(view.theirs, PooledAnswers)
    assert view.ours.ids == IDS[:2]
    assert view.ours.known.tolist() == view.theirs.known.tolist() == [[True, False], [True, False]]
    assert view.theirs.prediction["p"].tolist() == [[1, 0], [0, 1]]
    assert not view.includes_metric("auc")
    ranked, rest = list_pooled_views(LABELS, mine, given(p=called))
    assert (ranked.includes_metric("auc"), rest.includes_metric("auc")) == (True, False)


def test_items_are_in_our_order_whatever_theirs_is() -> None:
    mine = items({"value": np.array([1.0, 2.0, 3.0])}, [1.0, 2.0, 3.0])
    ids = (IDS[2], ("other", ""), IDS[0])
    theirs = OtherPooledAnswers(
        ids, value=np.array([30.0, 99.0, 10.0]), places={who: k for k, who in enumerate(ids)}
    )
    (view,) = list_pooled_views(SIZE, mine, theirs)
    assert isinstance(view.theirs, PooledAnswers)
    assert view.theirs.ids == (IDS[0], IDS[2])
    assert view.theirs.prediction["value"].tolist() == [10.0, 30.0]
    nobody = OtherPooledAnswers((("other", ""),), value=np.array([1.0]), places={("other", ""): 0})
    assert list_pooled_views(SIZE, mine, nobody) == []


def test_one_side_has_the_subjects_of_its_items() -> None:
    found = wrap_view_side("size", items({"value": np.ones(2)}, np.ones(2)), {"s0": "A"})
    assert (found.sites, found.unanswered, list(found.pooled)) == (
        {"s0": "A", "s1": ""},
        {"size": 0},
        ["size"],
    )
    cases = CaseMetrics((IDS[1],), ({"dice": 0.5},))
    assert wrap_view_side("mask", cases, {}).voxel == {"mask": cases}
    assert list_judged_ids(list_voxel_views(cases, cases)) == {IDS[1]}
