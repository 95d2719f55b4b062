from __future__ import annotations

from pathlib import Path

import pytest

from polytask.cohort.text_table import find_cases_table, read_text_table, write_cases_table
from polytask.errors import PolytaskError


def written(tmp_path: Path, content: str | bytes, name: str = "cases.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_cells_stay_text_and_rows_know_their_line(tmp_path: Path) -> None:
    table = read_text_table(written(tmp_path, '\ufeffsubject,note\r\n007," a, b"\r\n\r\n08,2.50\r\n'))
    assert table.columns == ("subject", "note")
    assert [(r.line, r.cells) for r in table.rows] == [
        (2, {"subject": "007", "note": "a, b"}),
        (4, {"subject": "08", "note": "2.50"}),
    ]


def test_tabs_when_the_name_says_so(tmp_path: Path) -> None:
    assert read_text_table(written(tmp_path, "a\tb\n1,5\t2\n", "cases.tsv")).rows[0].cells == {
        "a": "1,5",
        "b": "2",
    }


def test_a_row_of_another_length_is_a_problem(tmp_path: Path) -> None:
    table = read_text_table(written(tmp_path, "a,b\n1,2\n1,2,3\n1\n"))
    assert [(p.row, p.code) for p in table.problems] == [(3, "odd-row"), (4, "odd-row")]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("", "empty"),
        ("a,a\n1,2\n", "'a' occurs twice"),
        ("subject;visit\n1;2\n", "semicolons"),
        ("subject\tvisit\n1\t2\n", "tabs"),
        (b"subject\n\xff\n", "UTF-8"),
        ('a,b\n"1,2\n', "closing quote"),
    ],
)
def test_files_that_are_no_table(tmp_path: Path, content: str | bytes, word: str) -> None:
    with pytest.raises(PolytaskError, match=word):
        read_text_table(written(tmp_path, content))


def test_write_and_read_keep_cells(tmp_path: Path) -> None:
    for name in ("cases.csv", "cases.tsv"):
        rows = [{"a": 'x,"y"', "b": ""}, {"a": "\u00e9\tz", "b": "1"}]
        write_cases_table(tmp_path / name, ["a", "b"], rows)
        assert [r.cells for r in read_text_table(tmp_path / name).rows] == rows


def test_exactly_one_table(tmp_path: Path) -> None:
    with pytest.raises(PolytaskError, match=r"no cases\.csv"):
        find_cases_table(tmp_path)
    written(tmp_path, "a\n", "cases.tsv")
    assert find_cases_table(tmp_path).name == "cases.tsv"
    written(tmp_path, "a\n", "cases.csv")
    with pytest.raises(PolytaskError, match="remove one of them"):
        find_cases_table(tmp_path)
