"""The sentence with the drop from held-out, and when there is none."""

from __future__ import annotations

import math
from typing import Any

import pytest

from polytask.evaluation.evaluation_result import Estimate, EstimatesByTask
from polytask.evaluation.external.performance_drop import (
    PerformanceDrop,
    find_performance_drops,
    format_figure,
    format_signed_figure,
)
from polytask.evaluation.external.word_gaps import WordGap

NAN = float("nan")
NOWHERE = Estimate(NAN, NAN, NAN, 0)
LESION = {"kind": "segmentation", "primary": "dice", "higher": True, "names": ["tumour", "node"]}
SIZE = {"kind": "regression", "primary": "mae", "higher": False, "names": []}
TYPE = {"kind": "classification", "primary": "auc", "higher": True, "names": ["a", "b", "c"]}


def drops(
    task: dict[str, Any],
    there: dict[str, Estimate],
    here: list[dict[str, Estimate]],
    *gaps: WordGap,
    classes: Any = None,
) -> list[PerformanceDrop]:
    members: list[EstimatesByTask] = [{"t": m} for m in here]
    counts = {"t": {"classes": classes} if classes else {}}
    return find_performance_drops({"t": task}, {"t": there}, members, counts, gaps, "hospital-b")


def test_the_sentence_names_both_figures_and_the_difference() -> None:
    here, there = Estimate(0.68, 0.65, 0.72, 60), Estimate(0.61, 0.57, 0.64, 50)
    (found,) = drops(LESION, {"dice": there}, [{"dice": here}])
    low, high = -0.07 - math.hypot(0.04, 0.04), -0.07 + math.hypot(0.03, 0.03)
    assert found.difference == (pytest.approx(-0.07), pytest.approx(low), pytest.approx(high))
    assert found.sentence == "t: dice 0.68 at held-out, 0.61 at hospital-b: −0.07 (−0.13 to −0.03)"
    assert found.as_dict()["difference"]["estimate"] == pytest.approx(-0.07)


def test_errors_are_said_to_be_better_when_lower() -> None:
    (found,) = drops(SIZE, {"mae": Estimate(123.4, 110, 130, 9)}, [{"mae": Estimate(23.4, 20, 30, 9)}])
    assert found.sentence == (
        "t: mae (lower is better) 23.4 at held-out, 123 at hospital-b: +100 (+85.1 to +107)"
    )


@pytest.mark.parametrize(
    ("there", "here", "said"),
    [
        (Estimate(0.6, NAN, NAN, 5), Estimate(0.7, 0.6, 0.8, 50), "because there is no interval at hosp"),
        (Estimate(0.6, 0.5, 0.7, 5), Estimate(0.7, NAN, NAN, 50), "because there is no interval at held"),
        (NOWHERE, Estimate(0.7, 0.6, 0.8, 50), "no drop from held-out, because it is not defined at h"),
        (Estimate(0.6, 0.5, 0.7, 5), NOWHERE, "no drop from held-out, because it is not defined at held-"),
    ],
)  # fmt: skip
def test_without_both_intervals_no_drop_is_named(there: Estimate, here: Estimate, said: str) -> None:
    (found,) = drops(SIZE, {"mae": there}, [{"mae": here}])
    assert said in found.sentence
    assert "to" not in found.sentence.split("interval")[0].split(":")[-1].split()
    assert math.isnan(found.difference.low)


def test_a_model_without_held_out_has_no_drop() -> None:
    (found,) = drops(SIZE, {"mae": Estimate(0.6, 0.5, 0.7, 5)}, [])
    assert "the model was not evaluated on held-out" in found.sentence


def test_structures_that_the_cohort_lacks_do_not_enter_the_comparison() -> None:
    e = Estimate(0.6, 0.5, 0.7, 20)
    there = {"dice": e, "dice.tumour": e, "dice.node": Estimate(NAN, NAN, NAN, 0)}
    here = {"dice": Estimate(0.9, 0.8, 0.95, 20), "dice.tumour": Estimate(0.7, 0.6, 0.8, 20), "dice.node": e}
    (found,) = drops(LESION, there, [here], WordGap("labels", "t", (), ("node",)))
    assert found.metric == "dice.tumour"
    assert "dice.tumour 0.70 at held-out, 0.60 at hospital-b" in found.sentence


def test_classes_that_nobody_has_leave_the_others() -> None:
    e, none = Estimate(0.6, 0.5, 0.7, 20), Estimate(NAN, NAN, NAN, 0)
    there = {"auc": none, "auc.a": e, "auc.b": e, "auc.c": none}
    found = drops(
        TYPE, there, [dict.fromkeys(there, Estimate(0.8, 0.7, 0.9, 30))], classes={"a": 9, "b": 11, "c": 0}
    )
    assert [d.metric for d in found] == ["auc.a", "auc.b"]
    assert found[0].sentence.endswith("(not over the same classes: nobody at hospital-b is c)")


def test_members_are_averaged_and_that_is_said() -> None:
    here = [{"mae": Estimate(1.0, 0.5, 2.0, 9)}, {"mae": Estimate(2.0, 1.5, 3.0, 9)}]
    (found,) = drops(SIZE, {"mae": Estimate(1.5, 1.0, 2.0, 9)}, here)
    assert found.held_out == (1.5, 1.0, 2.5)
    assert "at held-out (mean of its 2 members, each alone)" in found.sentence


def test_numbers_for_readers() -> None:
    assert [format_figure(v) for v in (0.678, 12.34, 234.5)] == ["0.68", "12.3", "234"]
    assert [format_signed_figure(v) for v in (-0.07, 0.07, 0.001, -0.001, -12.34)] == [
        "−0.07",
        "+0.07",
        "0.00",
        "0.00",
        "−12.3",
    ]
