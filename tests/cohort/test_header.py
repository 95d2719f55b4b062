from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from polytask.cohort.header import Header
from polytask.cohort.header_file import (
    HEADER_SCHEMA_PATH,
    load_header,
    make_canonical_text,
    make_header_schema,
    read_header,
    write_header,
)
from polytask.errors import PolytaskError
from tests.cohort.worlds import header

EXAMPLE = """
polytask: 1                              # schema version
name: rectum
unknown: ["NA"]
visits: [baseline, week6]
inputs:
  scan:
    {kind: image, dims: 3, align: strict, channels: {ct: CT, flair: MR}}
  clinic:
    kind: table
    columns:
      age: {type: number, level: subject}
      cea: {type: number}
      smoker: {type: category, values: [never, past, now]}
tasks:
  tumour: {kind: segmentation, image: scan, labels: {tumour: 1, node: 2}, ignore: 255}
  organs: {kind: segmentation, image: scan, structures: [rectum, kidney_l, kidney_r], mirror: [[kidney_l, kidney_r]]}
  grade:  {kind: ordinal, level: visit, order: [G1, G2, G3]}
  os:     {kind: survival, level: subject, unit: days, origin: baseline, visits: [baseline], horizons: [365, 1095]}
  pcr:    {kind: classification, level: subject, classes: ["no", "yes"], visits: [baseline, week6]}
  dose:   {kind: dose, image: scan, unit: Gy, structures: organs}
"""


def problems(tmp_path: Path, content: dict[str, Any] | str) -> list[str]:
    path = tmp_path / "cohort.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    found, listed = load_header(path)
    assert (found is None) == bool(listed)
    return [f"{p.message} -> {p.remedy}" for p in listed]


def test_the_documented_example_reads(tmp_path: Path) -> None:
    (tmp_path / "cohort.yaml").write_text(EXAMPLE, encoding="utf-8")
    found = read_header(tmp_path / "cohort.yaml")
    assert found.images["scan"].planes == 2
    assert found.input_columns == {
        "scan.ct": "scan",
        "scan.flair": "scan",
        "age": "clinic",
        "cea": "clinic",
        "smoker": "clinic",
    }


def test_write_and_read_keep_everything(tmp_path: Path) -> None:
    before = Header.model_validate(header())
    write_header(before, tmp_path / "cohort.yaml")
    assert read_header(tmp_path / "cohort.yaml") == before


def test_the_shipped_schema_is_the_models() -> None:
    assert json.loads(HEADER_SCHEMA_PATH.read_text(encoding="utf-8")) == make_header_schema()


def change(path: str, value: Any) -> dict[str, Any]:
    """The world's header with one value set; `~` removes it."""
    content = header()
    *parents, last = path.split("/")
    place = content
    for parent in parents:
        place = place[parent]
    if value == "~":
        del place[last]
    else:
        place[last] = value
    return content


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("unknwon", [], ["unknwon", "did you mean 'unknown'"]),
        ("tasks/os/orgin", "baseline", ["tasks.os.orgin", "did you mean 'origin'"]),
        ("inputs/scan/chanels", {}, ["did you mean 'channels'"]),
        ("inputs/clinic/columns/age/levl", "visit", ["did you mean 'level'"]),
        ("tasks/grade/kind", "ordnal", ["unknown kind 'ordnal'", "did you mean 'ordinal'"]),
        ("tasks/grade/kind", "~", ["tasks.grade", "'kind' is missing"]),
        ("inputs/scan/align", "loose", ["'loose'", "'strict' or 'resample'"]),
        ("inputs/scan/dims", 4, ["inputs.scan.dims", "2 or 3"]),
        ("inputs/scan/channels", {"ct": "MRI"}, ["channels.ct", "'MR'"]),
        ("polytask", 2, ["polytask"]),
        ("name", "~", ["'name' is missing"]),
        ("tasks/pcr/classes", [False, True], ["tasks.pcr.classes.0", "quote them"]),
        ("visits", [True, "week6"], ["visits.0", "quote them"]),
        ("tasks/tumour/labels", {True: 1}, ["quote them"]),
        ("tasks/grade/order", [1.5, 2.5], ["put it in quotes"]),
        ("tasks/pcr/classes", ["yes"], ["tasks.pcr.classes"]),
        ("tasks/grade/order", ["2", "2.0"], ["'2.0' is named twice"]),
        ("tasks/tumour/structures", ["a"], ["either `labels`", "or `structures`"]),
        ("tasks/tumour/labels", "~", ["either `labels`", "or `structures`"]),
        ("tasks/tumour/labels", {"a": 1, "b": 1}, ["'a' and 'b' have the same value 1"]),
        ("tasks/tumour/labels", {"a": 0}, ["0 is background"]),
        ("tasks/tumour/labels", {"a": 1.5}, ["1.5 is not an integer"]),
        ("tasks/tumour/labels", {"a": 255}, ["value of `ignore`"]),
        ("tasks/organs/ignore", 255, ["`_region`"]),
        ("tasks/organs/mirror", [["left", "rigth"]], ["'rigth'", "left, right"]),
        ("tasks/organs/mirror", [["left", "left"]], ["twice in `mirror`"]),
        ("tasks/organs/structures", ["a;b"], ["';'"]),
        ("tasks/tumour/image", "scna", ["not an image input", "did you mean 'scan'"]),
        ("tasks/tumour/image", "clinic", ["not an image input"]),
        ("tasks/dose/structures", "organ", ["not a segmentation task", "did you mean 'organs'"]),
        ("tasks/dose/structures", "grade", ["not a segmentation task"]),
        ("tasks/pcr/visits", ["week7"], ["'week7'", "did you mean 'week6'"]),
        ("tasks/os/origin", "basline", ["'basline'", "did you mean 'baseline'"]),
        ("tasks/os/horizons", [-3], ["horizons", "greater than 0"]),
        ("tasks/grade/column", "age", ["'age' is both input (of 'clinic') and target"]),
        ("tasks/age", {"kind": "regression"}, ["'age' is both input"]),
        ("tasks/site", {"kind": "regression"}, ["fixed meaning"]),
        ("tasks/input", {"kind": "regression"}, ["'input'", "fixed meaning", "input.ood_p"]),
        ("tasks/pcr/classes", ["NA", "yes"], ["a word of `unknown`"]),
        ("tasks/a.b", {"kind": "regression"}, ["'a.b'", "letters, digits"]),
        ("inputs/clinic/columns/age/values", ["1"], ["a number has no `values`"]),
        ("tasks/grade/titles", {"9": "High"}, ["tasks.grade", "'9'", "not a class or label"]),
        ("tasks/grade/titles", {"1": "High", "2": "High"}, ["'1' and '2' have the same title 'High'"]),
        ("tasks/grade/titles", {"1": "2"}, ["'1' and '2' have the same title '2'"]),
        ("tasks/organs/titles", {"lung": "Lung"}, ["tasks.organs", "'lung'", "not a structure"]),
        ("inputs/clinic/columns/smoker/titles", {"often": "Often"}, ["'often'", "not a value"]),
        ("inputs/clinic/columns/age/titles", {"1": "One"}, ["use `title` for a number"]),
        ("tasks/pcr/history", True, ["tasks.pcr.history", "a subject task reads all its visits anyway"]),
        ("tasks/os/titles", {"a": "b"}, ["unknown key 'titles'"]),
    ],
)
def test_a_wrong_header_names_place_and_remedy(
    tmp_path: Path, path: str, value: Any, words: list[str]
) -> None:
    found = problems(tmp_path, change(path, value))
    assert any(all(word in line for word in words) for line in found), found


def test_titles_are_read_and_change_no_meaning(tmp_path: Path) -> None:
    """A page may be worded anew without planning again: the hash of the header stays."""
    content = header()
    before = make_canonical_text(Header.model_validate(content))
    content["tasks"]["os"]["title"] = "Overall survival"
    content["tasks"]["grade"]["titles"] = {"1": "Low grade"}
    content["tasks"]["organs"]["titles"] = {"left": "Left lung"}
    content["inputs"]["clinic"]["columns"]["smoker"] |= {"title": "Smoking", "titles": {"now": "Current"}}
    titled = Header.model_validate(content)
    assert make_canonical_text(titled) == before
    write_header(titled, tmp_path / "cohort.yaml")
    read = read_header(tmp_path / "cohort.yaml")
    assert read == titled
    assert read.tasks["os"].title == "Overall survival"
    content["tasks"]["os"]["unit"] = "months"
    assert make_canonical_text(Header.model_validate(content)) != before


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    content = change("nmae", "x")
    content["tasks"]["os"]["orgin"] = "baseline"
    content["tasks"]["grade"]["kind"] = "x"
    assert len(problems(tmp_path, content)) == 3
    with pytest.raises(PolytaskError, match="2 more"):
        read_header(tmp_path / "cohort.yaml")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("a: [", "not YAML"),
        ("- a", "expected keys and values"),
        ("", "expected keys and values"),
        (EXAMPLE.replace("name: rectum", "name: a\nname: b"), "line 4: not YAML ('name' is written twice)"),
        ("a: !!python/object:os.system x", "not YAML"),
    ],
)
def test_files_that_are_no_header(tmp_path: Path, content: str, word: str) -> None:
    assert word in problems(tmp_path, content)[0]


def test_yaml_words_and_integers() -> None:
    content = header()
    content["tasks"]["grade"]["order"] = [1, 2, 3]
    assert Header.model_validate(content).tasks["grade"].order == ["1", "2", "3"]  # type: ignore[union-attr]
    content["tasks"]["tumour"]["labels"] = {"whole": [1, 2, 3], "core": [2, 3], "rest": 3}
    task = Header.model_validate(content).tasks["tumour"]
    assert not task.exclusive  # type: ignore[union-attr]
    assert task.values == {"whole": (1, 2, 3), "core": (2, 3), "rest": (3,)}  # type: ignore[union-attr]


def test_a_history_needs_visits(tmp_path: Path) -> None:
    content = change("tasks/grade/history", True)
    assert Header.model_validate(content).tasks["grade"].reads_history  # type: ignore[attr-defined]
    del content["visits"], content["tasks"]["os"]["origin"], content["tasks"]["os"]["visits"]
    found = problems(tmp_path, content)
    assert any("tasks.grade.history: the header names fewer than two visits" in line for line in found), found


def test_a_header_does_not_change() -> None:
    with pytest.raises(ValidationError):
        Header.model_validate(header()).name = "other"  # type: ignore[misc]


def test_the_digest_of_a_header_stays_what_it_was() -> None:
    """Plans and stores are found again by it: the order of a kind's fields is part of the text that is hashed."""
    tasks = {
        "s": {"kind": "segmentation", "image": "ct", "structures": ["l", "r"]},
        "d": {"kind": "dose", "image": "ct", "structures": "s"},
        "c": {"kind": "classification", "classes": ["a", "b"]},
        "o": {"kind": "ordinal", "order": ["a", "b"]},
        "m": {"kind": "multilabel", "labels": ["a"]},
        "r": {"kind": "regression", "unit": "x"},
        "t": {"kind": "survival", "origin": "a"},
    }
    inputs = {"ct": {"kind": "image", "channels": {"c": "CT"}}}
    header = Header.model_validate(
        {"polytask": 1, "name": "x", "visits": ["a", "b"], "inputs": inputs, "tasks": tasks}
    )
    text = make_canonical_text(header)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "aff048f442756176", text
