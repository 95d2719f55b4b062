"""JSON and JSON lines become plain data or one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from polytask.documents.document_errors import DocumentError
from polytask.documents.json_reader import (
    find_json_object,
    parse_json,
    read_json,
    read_json_lines,
    read_json_object,
)

REFUSED = [
    ("", "line 1: not JSON (expecting value)"),
    ('{"a": 1,\n"b": }', "line 2: not JSON (expecting value)"),
    ("[1] x", "extra data"),
    ("[" * 100_000, "nested too deeply"),
    ('{"a":' * 80 + "1" + "}" * 80, "nested more than 64 levels deep"),
    ('{"a": 1, "b": 2, "a": 3}', "'a' is written twice"),
    ("[NaN]", "NaN is not a number in JSON"),
    ("[-Infinity]", "-Infinity is not a number in JSON"),
    ("[1e999]", "1e999 is too large a number"),
    ("[-1.5E+400]", "is too large a number"),
    (f"[{'1' * 5_000}]", "a number of 5,000 digits"),
    (f"[{'1' * 5_000}.5]", "a number of 5,002 characters"),
    ('["a\\u0000b"]', "a text with a NUL character"),
    ('{"\\ud800": 1}', "half a character (a lone surrogate)"),
    ('["a\0b"]', "invalid control character"),
]


@pytest.mark.parametrize(("text", "said"), REFUSED, ids=range(len(REFUSED)))
def test_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_json(text, "f.json", "a plan", "mend it")
    line = str(caught.value)
    assert said in line
    assert line.startswith("f.json")
    assert line.endswith("; expected a plan; mend it")
    assert "\n" not in line
    assert len(line) < 300


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        [],
        {},
        {"a": [1, -2.5e-300, 1.7e308, True, None, "e123 😀 \\u0000"]},
        2**63,
        "1" * 70,
        [[[[[]]]]],
    ],
)
def test_what_was_written_is_read(value: object) -> None:
    for ascii_only in (True, False):
        assert parse_json(json.dumps(value, ensure_ascii=ascii_only), "x") == value


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(
        DocumentError, match=r"a\.json: no such file; expected a JSON file; make one"
    ) as caught:
        read_json(path, missing="make one")
    assert caught.value.missing
    assert find_json_object(path) == {}
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json_object(path) == find_json_object(path) == {"a": 1}
    path.write_text("[1]")
    with pytest.raises(DocumentError, match="does not hold keys and values"):
        read_json_object(path)
    assert find_json_object(path) == {}


def test_odd_lines_of_a_log_are_told_from_the_others(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    assert read_json_lines(path) == []
    good = '{"a": "x\u2028y"}'  # U+2028 ends a line for str.splitlines, not for JSON
    path.write_text(f"{good}\n\n5\n[]\n{{'a': 1}}\n{{\"a\": 1\n{'[' * 5000}\n{good}\r\n", encoding="utf-8")
    found = read_json_lines(path)
    assert [value for _, value in found] == [
        {"a": "x\u2028y"},
        None,
        None,
        None,
        None,
        None,
        {"a": "x\u2028y"},
    ]
    assert found[-1][0] == good
