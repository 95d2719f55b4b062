"""The mapping file: words stay text, and what it cannot say is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from polytask.errors import PolytaskError
from polytask.evaluation.external.word_map import read_word_map
from tests.evaluation.external.worlds import said


def test_words_stay_what_was_written(tmp_path: Path) -> None:
    found = said(
        tmp_path,
        "classes:\n  pcr: {1: yes, 0: no, 9: , 8: ~}\n  grade: {2020-01-01: 1.50}\nunits: {os: 30.5, size: }\n"
        "tasks: {GTV: tumour}\nlabels:\n",
    )
    assert found.classes == {
        "pcr": {"1": "yes", "0": "no", "9": None, "8": None},
        "grade": {"2020-01-01": "1.50"},
    }
    assert found.units == {"os": 30.5}
    assert found.as_dict() == {"classes": found.classes, "units": {"os": 30.5}, "tasks": {"GTV": "tumour"}}


def test_an_empty_file_maps_nothing(tmp_path: Path) -> None:
    assert said(tmp_path, "# nothing\n").as_dict() == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clases: {}", "unknown section 'clases'; did you mean 'classes'?"),
        ("- a", r"expected sections \(tasks, inputs"),
        ("tasks: [a, b]", "tasks: expected `WORD: WORD` lines"),
        ("classes: {pcr: yes}", "classes.pcr: expected `WORD: WORD` lines"),
        ("tasks: {a: [b]}", "tasks.a: expected one word of the model"),
        ("units: {os: months}", "units.os: 'months' is no factor; expected a number above 0"),
        ("units: {os: -1}", "units.os: '-1' is no factor"),
        ("units: {os: nan}", "units.os: 'nan' is no factor"),
        ("tasks: {a: b, a: c}", r"line 1: not YAML \('a' is written twice\)"),
        ("a: [", "not YAML"),
        ("!!python/object/apply:os.system [x]", "not YAML"),
    ],
)
def test_what_a_mapping_file_cannot_say(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PolytaskError, match=message) as error:
        said(tmp_path, text)
    assert "\n" not in str(error.value)
    assert str(tmp_path / "mapping.yaml") in str(error.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PolytaskError, match="no such file; expected a mapping file; leave --mapping out"):
        read_word_map(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"tasks: {\xff: a}")
    with pytest.raises(PolytaskError, match="not UTF-8 text"):
        read_word_map(tmp_path / "bytes.yaml")
