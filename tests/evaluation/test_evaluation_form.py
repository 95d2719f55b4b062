"""What the document of an evaluation looks like."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from polytask.evaluation.evaluation_form import find_contradictions, require_evaluation_form

FOUND = {"estimate": 0.5, "low": 0.25, "high": None, "n": 3, "reason": ""}
TASK = {
    "kind": "classification",
    "level": "visit",
    "primary": "auc",
    "higher": True,
    "unit": "",
    "names": ["a", "b"],
}
GOOD: dict[str, Any] = {
    "run": "r",
    "fold": 0,
    "seed": 0,
    "sharing": "hard",
    "part": "held_out",
    "subjects": ["s"],
    "tasks": {"t": TASK},
    "metrics": {"t": {"auc": FOUND}},
    "sites": {"A": {"t": {"auc": FOUND}}},
    "skill": {"t": FOUND},
    "mean_skill": FOUND,
    "counts": {"t": {"items": 3, "known": 3, "subjects": 3, "unanswered": 0}},
}
CURVE = {"thresholds": [0.1, 0.2], "model": [0.1, None], "all": [0.0, 0.1], "n": 3, "positives": 1}


def changed(**parts: Any) -> dict[str, Any]:
    return {**copy.deepcopy(GOOD), **parts}


def refuse(content: Any) -> str:
    with pytest.raises(ValueError, match=r"\w") as raised:
        require_evaluation_form(content)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_what_an_evaluation_writes_is_fine() -> None:
    require_evaluation_form(GOOD)
    require_evaluation_form(changed(decision_curves={"t": {"b": CURVE}}, more="anything"))
    require_evaluation_form(changed(part="external", external={"cohort": "away"}))


def test_a_value_of_another_type_is_named() -> None:
    assert refuse(changed(fold="0")).startswith("fold: ")
    assert refuse(changed(part="train")).startswith("part: ")
    assert refuse(changed(metrics={"t": {"auc": {**FOUND, "n": 1.5}}})).startswith("metrics.t.auc.n: ")
    assert refuse({k: v for k, v in GOOD.items() if k != "skill"}) == "skill: field required"


def test_parts_name_the_same_tasks() -> None:
    for part in ("metrics", "skill", "counts"):
        assert refuse(changed(**{part: {}})) == f"{part}: its tasks are not those of `tasks`"
    assert "names: a name occurs twice" in refuse(changed(tasks={"t": {**TASK, "names": ["a", "a"]}}))
    assert "metrics: t: its primary metric is missing" in refuse(changed(metrics={"t": {}}))
    assert "A: t: its primary metric is missing" in refuse(changed(sites={"A": {}}))


def test_another_cohort_is_described_and_no_other_part() -> None:
    for odd in (changed(part="external"), changed(external={"cohort": "away"})):
        assert refuse(odd).startswith("external: expected to be filled exactly when")


def test_a_curve_has_a_value_for_each_threshold() -> None:
    for odd in ({"model": [0.1]}, {"all": [0.1]}, {"thresholds": [0.1]}, {"n": 0}):
        content = changed(decision_curves={"t": {"b": {**CURVE, **odd}}})
        assert list(find_contradictions(content)) == [
            "decision_curves.t.b: expected one value for each threshold, and n above 0"
        ]
