"""Operating points: what is asked, chosen on tune, judged elsewhere; decision curves."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.errors import PolytaskError
from polytask.evaluation.decision_curves import compute_decision_curves
from polytask.evaluation.operating_points import (
    RequestedPoint,
    choose_point_thresholds,
    measure_operating_points,
    measure_threshold,
    parse_requested_points,
)
from polytask.evaluation.yes_no_questions import YesNoQuestion
from polytask.statistics.net_benefit import compute_net_benefit
from polytask.tasks import make_task
from polytask.training.decisions import Decisions
from tests.evaluation.worlds import answers, items

TASKS = {
    "response": make_task(
        "response", {"kind": "classification", "level": "subject", "classes": ("no", "yes")}
    ),
    "findings": make_task("findings", {"kind": "multilabel", "level": "visit", "labels": ("cyst", "stone")}),
    "grade": make_task("grade", {"kind": "ordinal", "level": "visit", "classes": ("1", "2", "3")}),
}


def world(n: int = 60, seed: int = 0):  # type: ignore[no-untyped-def]
    random = np.random.default_rng(seed)
    truth = random.random(n) < 0.4
    p = 1 / (1 + np.exp(-random.normal(2 * truth - 1.5)))
    known = random.random((n, 2)) < 0.8
    labels = np.stack([truth, ~truth], axis=1).astype(float)
    return answers(
        {
            "response": items({"p": np.stack([1 - p, p], axis=1)}, truth.astype(int)),
            "findings": items({"p": np.stack([p, 1 - p], axis=1)}, labels, known),
        }
    )


def test_what_is_asked() -> None:
    assert parse_requested_points("response=0.9", "sensitivity", TASKS) == [
        RequestedPoint("response", "", "sensitivity", 0.9)
    ]
    assert [a.label for a in parse_requested_points("findings=0.5", "specificity", TASKS)] == [
        "cyst",
        "stone",
    ]
    assert [a.label for a in parse_requested_points("findings.stone=0.5", "specificity", TASKS)] == ["stone"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("response", "expected TASK=SHARE"),
        ("response=90", "between 0 and 1"),
        ("response=1", "between 0 and 1"),
        ("response=nan", "between 0 and 1"),
        ("grade=0.9", "grade is a ordinal with 3 classes"),
        ("respons=0.9", "did you mean 'response'"),
        ("findings.cyts=0.9", "did you mean 'findings.cyst'"),
        ("findings.lump=0.9", "no task with two classes or labels"),
    ],
)
def test_what_cannot_be_asked_is_one_line(text: str, said: str) -> None:
    with pytest.raises(PolytaskError, match=said) as raised:
        parse_requested_points(text, "sensitivity", TASKS)
    assert "\n" not in str(raised.value)


def test_thresholds_come_from_tune_alone_and_are_judged_elsewhere() -> None:
    tune, held_out = world(80, 1), world(60, 2)
    asked = parse_requested_points("response=0.9", "sensitivity", TASKS) + parse_requested_points(
        "findings.cyst=0.8", "specificity", TASKS
    )
    chosen = choose_point_thresholds(asked, TASKS, tune, Decisions({"os": (0.1,)}))
    point = chosen.points["response"][0]
    truth, p = tune.pooled["response"].value == 1, tune.pooled["response"].prediction["p"][:, 1]
    assert (p[truth] >= point.threshold).mean() >= 0.9
    assert (point.n, point.positives, chosen.cutoffs) == (80, int(truth.sum()), {"os": (0.1,)})
    found = measure_operating_points(TASKS, held_out, chosen, 50)
    judged = found["response"][0]
    truth, p = held_out.pooled["response"].value == 1, held_out.pooled["response"].prediction["p"][:, 1]
    called = p >= point.threshold
    at = judged["at_threshold"]
    assert at["sensitivity"]["estimate"] == pytest.approx(called[truth].mean())
    assert at["ppv"]["estimate"] == pytest.approx(truth[called].mean())
    assert (at["sensitivity"]["n"], at["npv"]["n"]) == (truth.sum(), (~called).sum())
    assert judged["plain"]["specificity"]["estimate"] == pytest.approx((p[~truth] < 0.5).mean())
    assert at["sensitivity"]["low"] <= at["sensitivity"]["estimate"] <= at["sensitivity"]["high"]
    known = held_out.pooled["findings"].known[:, 0]
    assert found["findings"][0]["items"] == known.sum()


def test_a_share_that_tune_cannot_hold_is_one_line() -> None:
    with pytest.raises(PolytaskError, match=r"--sensitivity response=0.95: on tune, .* expected at least 20"):
        choose_point_thresholds(
            parse_requested_points("response=0.95", "sensitivity", TASKS), TASKS, world(20), Decisions()
        )


def test_decision_curves_of_two_classes_and_of_labels() -> None:
    held_out = world()
    found = compute_decision_curves({**TASKS}, held_out)
    assert set(found) == {"response", "findings"}
    assert list(found["response"]) == ["yes"]
    truth, p = held_out.pooled["response"].value == 1, held_out.pooled["response"].prediction["p"][:, 1]
    expected = compute_net_benefit(p, truth)
    assert found["response"]["yes"]["model"] == pytest.approx(expected.model, abs=1e-6)
    assert found["response"]["yes"]["all"] == pytest.approx(expected.everybody, abs=1e-6)
    assert found["findings"]["cyst"]["n"] == held_out.pooled["findings"].known[:, 0].sum()


def test_one_class_alone_has_no_decision_curve() -> None:
    only = answers({"response": items({"p": [[0.5, 0.5], [0.1, 0.9]]}, [1, 1])})
    assert compute_decision_curves(TASKS, only) == {}


def test_a_point_of_a_task_that_is_not_judged_is_passed_over() -> None:
    chosen = choose_point_thresholds(
        parse_requested_points("response=0.8", "sensitivity", TASKS), TASKS, world(), Decisions()
    )
    given = world()
    assert list(measure_operating_points(TASKS, given, chosen, resamples=10)) == ["response"]
    others = {name: task for name, task in TASKS.items() if name != "response"}
    assert measure_operating_points(others, given, chosen, resamples=10) == {}
    del given.pooled["response"]
    assert measure_operating_points(TASKS, given, chosen, resamples=10) == {}


@pytest.mark.parametrize(
    "text", ["response", "response=0", "response=1", "response=-0.1", "response=x", "=0.5x"]
)
def test_a_share_lies_between_nothing_and_all(text: str) -> None:
    with pytest.raises(PolytaskError, match="with a share between 0 and 1"):
        parse_requested_points(text, "sensitivity", {})


def test_shares_of_a_threshold_by_hand() -> None:
    """Called 0.5, 0.7 and 0.9, of whom the last two are positive; 0.2 and 0.4 are not called, the latter positive."""
    p = np.array([0.5, 0.7, 0.9, 0.2, 0.4])
    question = YesNoQuestion("", ("a", "a", "b", "c", "d"), p, np.array([False, True, True, False, True]))
    found = measure_threshold(question, 0.5)
    assert {k: (v["estimate"], v["n"]) for k, v in found.items()} == {
        "sensitivity": (pytest.approx(2 / 3), 3),
        "specificity": (0.5, 2),
        "ppv": (pytest.approx(2 / 3), 3),
        "npv": (0.5, 2),
    }
    assert found["sensitivity"]["reason"] == "too few: 3 subjects, 10 needed"
