"""Tasks of a model and their counterparts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from polytask.cohort.header import Header
from polytask.errors import PolytaskError
from polytask.evaluation.external.match_tasks import MatchedTask, match_tasks
from polytask.evaluation.external.word_gaps import WordGap
from polytask.evaluation.external.word_map import WordMap
from tests.evaluation.external.worlds import OURS, THEIRS, changed

OWN = Header.model_validate(OURS)


def match(
    theirs: dict[str, Any], asked: str = "", said: WordMap | None = None, images: dict[str, str] | None = None
) -> tuple[dict[str, MatchedTask], list[WordGap]]:
    names = asked.split(",") if asked else list(OURS["tasks"])
    there = images if images is not None else {"scan": "scan"}
    return match_tasks(OWN, names, Header.model_validate(theirs), there, said or WordMap(Path("m.yaml")))


def test_the_same_tasks_are_joined_word_by_word() -> None:
    found, gaps = match(THEIRS)
    assert set(found) == set(OURS["tasks"]) - {"pcr"}
    assert found["tumour"] == MatchedTask("tumour", {"tumour": "tumour"}, {"tumour": ("tumour",), "node": ()})
    assert found["os"] == MatchedTask("os")
    assert found["findings"].words == {"effusion": "effusion", "nodule": "nodule"}
    assert WordGap("classes", "pcr", ("0", "1"), ("no", "yes")) in gaps
    assert WordGap("tasks", "", ("extra",), ()) in gaps


def test_only_asked_tasks_are_joined() -> None:
    found, gaps = match(THEIRS, "size")
    assert set(found) == {"size"}
    assert all(not gap.ours for gap in gaps)


def test_a_grade_may_be_judged_by_classes_and_nothing_else_by_another_kind() -> None:
    assert "grade" in match(THEIRS, "grade")[0]
    count = changed(THEIRS, "tasks", size={"kind": "count", "unit": "mm"})
    found, gaps = match(count, "size")
    assert found == {}
    assert WordGap("kinds", "size", ("count",), ("regression",)) in gaps


def test_masks_are_of_the_image_that_the_model_reads() -> None:
    assert "dose" in match(THEIRS, "dose")[0]
    found, gaps = match(THEIRS, "dose", images={"scan": "other"})
    assert found == {}
    assert WordGap("images", "dose", ("scan",), ("scan",)) in gaps
    assert match(THEIRS, "dose", images={})[0] == {}


def test_a_unit_is_the_same_or_its_factor_is_said() -> None:
    months = changed(THEIRS, "tasks", os={"kind": "survival", "unit": "months"})
    found, gaps = match(months, "os")
    assert found == {}
    assert WordGap("units", "os", ("months",), ("days",)) in gaps
    said = WordMap(Path("m.yaml"), units={"os": 30.0})
    assert match(months, "os", said)[0]["os"].factor == 30.0
    spaced = changed(THEIRS, "tasks", os={"kind": "survival", "unit": " days "})
    assert match(spaced, "os")[0]["os"].factor == 1.0
    silent = changed(THEIRS, "tasks", size={"kind": "regression"})
    assert WordGap("units", "size", ("(no unit)",), ("mm",)) in match(silent, "size")[1]


def test_without_a_common_word_there_is_no_counterpart() -> None:
    strange = changed(THEIRS, "tasks", findings={"kind": "multilabel", "labels": ["x", "y"]})
    assert match(strange, "findings")[0] == {}


def test_places_of_a_mapping_are_tasks_of_the_right_kind() -> None:
    for section, name in (("classes", "os"), ("labels", "grade"), ("units", "pcr"), ("labels", "nothing")):
        words: Any = 2.0 if section == "units" else {}
        with pytest.raises(PolytaskError, match=f"'{name}' is no"):
            match(THEIRS, said=WordMap(Path("m.yaml"), **{section: {name: words}}))
    match(THEIRS, said=WordMap(Path("m.yaml"), units={"age": 2.0, "dose": 1.0, "size": 1.0}))
    match(THEIRS, said=WordMap(Path("m.yaml"), labels={"findings": {}, "tumour": {}}, classes={"grade": {}}))
    with pytest.raises(PolytaskError, match="'smoker' is no task or column with a unit"):
        match(THEIRS, said=WordMap(Path("m.yaml"), units={"smoker": 2.0}))
