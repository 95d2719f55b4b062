from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from polytask.cohort import Cohort, Header
from polytask.cohort.cell_values import pooled_value
from polytask.cohort.check import check_cohort
from polytask.cohort.header_file import make_canonical_text, read_header
from polytask.cohort.splits import make_splits
from polytask.errors import PolytaskError


def header(**more: Any) -> dict[str, Any]:
    task = {"kind": "ordinal", "order": ["1", "2", "3", "4", "5"], **more}
    columns = {"x": {"type": "number"}}
    inputs = {"clinic": {"kind": "table", "columns": columns}}
    return {"polytask": 1, "name": "t", "inputs": inputs, "tasks": {"stage": task}}


def cohort(folder: Path, lines: str = "", **more: Any) -> Path:
    """20 subjects of stages 1 to 4, one of stage 5."""
    folder.mkdir()
    (folder / "cohort.yaml").write_text(yaml.safe_dump(header(**more)))
    rows = lines or "".join(f"s{n},{n},{n % 4 + 1}.0\n" for n in range(20)) + "s20,20,5.0\n"
    (folder / "cases.csv").write_text("subject,x,stage\n" + rows)
    return folder


def test_check_names_a_cure_that_works(tmp_path: Path) -> None:
    found = [p for p in check_cohort(cohort(tmp_path / "a")) if p.code == "rare-class"]
    assert [p.level for p in found] == ["error"]
    remedy = found[0].remedy
    assert "`merge: {'5': '4'}`" in remedy
    assert "`unknown: ['5']`" in remedy
    merge, unknown = (yaml.safe_load(part) for part in remedy.split("`")[1:4:2])
    for name, cure in (("b", merge), ("c", unknown)):
        folder = cohort(tmp_path / name, **cure)
        assert [p for p in check_cohort(folder) if p.level == "error"] == []
        assert make_splits(Cohort.read(folder)).folds


def test_words_are_read_as_another_class_or_as_unknown(tmp_path: Path) -> None:
    merged = Cohort.read(cohort(tmp_path / "a", merge={"5": "4", "1": "2"}))
    assert merged.header.tasks["stage"].order == ["2", "3", "4"]  # type: ignore[union-attr]
    read = {s: pooled_value(merged, cases, "stage") for s, cases in merged.subjects.items()}
    assert (read["s0"], read["s1"], read["s3"], read["s20"]) == (0, 0, 2, 2)
    emptied = Cohort.read(cohort(tmp_path / "b", unknown=["5"]))
    assert pooled_value(emptied, emptied.subjects["s20"], "stage") is None
    assert pooled_value(emptied, emptied.subjects["s3"], "stage") == 3


def test_two_tasks_may_read_one_column_differently(tmp_path: Path) -> None:
    content = header()
    content["tasks"]["late"] = {
        "kind": "classification", "column": "stage", "classes": ["1", "2", "3", "4"], "unknown": ["5"],
        "merge": {"2": "1", "3": "4"},
    }  # fmt: skip
    folder = cohort(tmp_path / "a")
    (folder / "cohort.yaml").write_text(yaml.safe_dump(content))
    found = Cohort.read(folder)
    assert [pooled_value(found, found.subjects[f"s{n}"], "late") for n in (0, 1, 2, 3, 20)] == [
        0,
        0,
        1,
        1,
        None,
    ]
    assert pooled_value(found, found.subjects["s20"], "stage") == 4


def test_rows_of_a_subject_agree_after_merging(tmp_path: Path) -> None:
    rows = "".join(f"s{n},{v},{n},{n % 3 + 2}\n" for n in range(12) for v in ("a", "b"))
    rows += "t,a,1,4\nt,b,1,5\nu,a,1,2\nu,b,1,1\n"
    folder = tmp_path / "a"
    folder.mkdir()
    content = header(level="subject", merge={"5": "4"}, unknown=["1"]) | {"visits": ["a", "b"]}
    (folder / "cohort.yaml").write_text(yaml.safe_dump(content))
    (folder / "cases.csv").write_text("subject,visit,x,stage\n" + rows)
    assert [p.code for p in check_cohort(folder) if p.level == "error"] == []
    (folder / "cases.csv").write_text("subject,visit,x,stage\n" + rows.replace("t,b,1,5", "t,b,1,3"))
    assert [p.code for p in check_cohort(folder) if p.level == "error"] == ["disagreement"]


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"merge": {"5": "6"}}, "not a remaining class"),
        ({"merge": {"5": "4", "4": "3"}}, "not a remaining class"),
        ({"merge": {"5": "4"}, "unknown": ["5.0"]}, "occurs twice"),
        ({"unknown": ["1", "2", "3", "4"]}, "leave 1 class:"),
    ],
)
def test_rules_of_merging(tmp_path: Path, more: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Header.model_validate(header(**more))
    assert word in str(caught.value)
    with pytest.raises(PolytaskError, match=r"tasks\.stage"):
        read_header(cohort(tmp_path / "a", **more) / "cohort.yaml")


def test_headers_without_merging_have_the_text_they_had() -> None:
    plain = make_canonical_text(Header.model_validate(header()))
    assert "merge" not in plain
    assert "unknown" not in plain.split('"tasks"')[1]
    assert make_canonical_text(Header.model_validate(header(merge={"5": "4"}))) != plain


def test_a_task_of_two_classes_has_no_merge_to_offer(tmp_path: Path) -> None:
    rows = "".join(f"s{n},{n},1\n" for n in range(12)) + "t,1,2\n"
    folder = cohort(tmp_path / "a", rows, order=["1", "2"])
    remedy = next(p.remedy for p in check_cohort(folder) if p.code == "rare-class")
    assert "remove the task 'stage'" in remedy
    assert "merge" not in remedy
