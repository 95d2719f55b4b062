"""Inputs of a model and their counterparts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from polytask.cohort.header import Header
from polytask.errors import PolytaskError
from polytask.evaluation.external.match_inputs import MatchedInputs, match_inputs
from polytask.evaluation.external.word_gaps import WordGap
from polytask.evaluation.external.word_map import WordMap
from tests.evaluation.external.worlds import OURS, ROWS, THEIRS, changed, cohort_of

Says = dict[str, Any]


def match(
    folder: Path, theirs: Says = THEIRS, ours: Says = OURS, said: WordMap | None = None, rows: Any = ROWS
) -> tuple[MatchedInputs, list[WordGap]]:
    own = cohort_of(folder, theirs, rows)
    found, gaps = match_inputs(
        Header.model_validate(ours), {"smoker": ["never", "now"]}, own, said or WordMap(Path("m.yaml"))
    )
    return found, [gap for gap in gaps if gap]


def test_inputs_are_joined_by_name(tmp_path: Path) -> None:
    found, gaps = match(tmp_path)
    assert (found.images, found.slides, found.factors) == ({"scan": "scan"}, {}, {})
    assert found.channels == {"scan.ct": "scan.ct", "scan.pet": "scan.pet"}
    assert found.columns == {"age": ("history", "age"), "smoker": ("history", "smoker")}
    assert found.values == {"smoker": {"never": "never"}}
    assert gaps == [WordGap("values", "smoker", ("cigars",), ("now",))]


def test_declared_categories_count_and_not_those_that_occur(tmp_path: Path) -> None:
    columns = {"smoker": {"type": "category", "values": ["now", "never", "cigars"]}}
    theirs = changed(THEIRS, "inputs", history={"kind": "table", "columns": columns})
    found, gaps = match(tmp_path, theirs)
    assert found.values["smoker"] == {"now": "now", "never": "never"}
    assert WordGap("columns", "", (), ("age",)) in gaps


def test_channels_are_of_the_same_modality(tmp_path: Path) -> None:
    theirs = changed(THEIRS, "inputs", scan={"kind": "image", "channels": {"ct": "MR", "t2": "MR"}})
    found, gaps = match(tmp_path, theirs, rows=[{"subject": "a"}])
    assert found.channels == {}
    assert WordGap("modalities", "scan.ct", ("MR",), ("CT",)) in gaps
    assert WordGap("channels", "scan", ("t2",), ("pet",)) in gaps


def test_bags_have_as_many_features(tmp_path: Path) -> None:
    def slides(width: int | None) -> Says:
        return {"kind": "slide", **({} if width is None else {"features": width})}

    rows = [{"subject": "a"}]
    ours = changed(OURS, "inputs", wsi=slides(512))
    assert match(tmp_path / "a", changed(THEIRS, "inputs", wsi=slides(512)), ours, rows=rows)[0].slides == {
        "wsi": "wsi"
    }
    found, gaps = match(tmp_path / "b", changed(THEIRS, "inputs", wsi=slides(513)), ours, rows=rows)
    assert found.slides == {}
    assert WordGap("kinds", "wsi", ("bags of 513 features",), ("bags of 512 features",)) in gaps


def test_a_single_visit_on_both_sides_is_the_same_visit(tmp_path: Path) -> None:
    rows = [{"subject": "a", "visit": "pre"}]
    assert match(tmp_path / "a")[0].visits == {"": ""}
    one, other = {**OURS, "visits": ["t0"]}, {**THEIRS, "visits": ["pre"]}
    assert match(tmp_path / "b", other, one, rows=rows)[0].visits == {"pre": "t0"}
    two = {**OURS, "visits": ["pre", "post"]}
    found, gaps = match(tmp_path / "c", other, two, rows=rows)
    assert found.visits == {"pre": "pre"}
    assert WordGap("visits", "", (), ("post",)) in gaps
    said = WordMap(Path("m.yaml"), visits={"pre": None})
    assert match(tmp_path / "d", other, one, said, rows)[0].visits == {}


def test_factors_are_those_of_columns(tmp_path: Path) -> None:
    said = WordMap(Path("m.yaml"), units={"age": 0.5, "os": 30.0})
    assert match(tmp_path, said=said)[0].factors == {"age": 0.5}


def test_a_column_of_another_type_is_unknown_and_words_must_exist(tmp_path: Path) -> None:
    history = {"kind": "table", "columns": {"age": {"type": "category"}, "smoker": {"type": "category"}}}
    found, gaps = match(tmp_path / "a", changed(THEIRS, "inputs", history=history))
    assert set(found.columns) == {"smoker"}
    assert WordGap("kinds", "age", ("category",), ("number",)) in gaps
    odd: list[tuple[dict[str, Any], str]] = [
        ({"inputs": {"x": "scan"}}, "'x' is no input"),
        ({"channels": {"x": {}}}, "'x' is not an image input"),
        ({"values": {"x": {}}}, "'x' is no column"),
    ]
    for words, told in odd:
        with pytest.raises(PolytaskError, match=told):
            match(tmp_path / "b", said=WordMap(Path("m.yaml"), **words))
