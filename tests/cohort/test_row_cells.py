import tracemalloc
from pathlib import Path

import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.row_cells import ColumnLayout, RowCells, SharedWords, to_row_cells
from polytask.cohort.text_table import read_text_table
from polytask.kinds.header_words import parse_cell_number

PLACES = {"a": 0, "b": 1, "c": 2, "d": 3}


def test_cells_are_a_mapping_of_what_is_known() -> None:
    cells = RowCells(ColumnLayout(PLACES, {"", "NA"}), ("1", "NA", "", "x"))
    assert dict(cells) == {"a": "1", "d": "x"} == cells
    assert list(cells) == ["a", "d"]
    assert list(cells.items()) == [("a", "1"), ("d", "x")]
    assert len(cells) == 2
    assert "b" not in cells
    assert 3 not in cells
    assert cells.get("b") is None
    assert cells.get("zz", "?") == "?"
    with pytest.raises(KeyError):
        cells["c"]


def test_a_row_of_other_length_has_the_columns_it_reaches() -> None:
    columns = ColumnLayout(PLACES)
    assert dict(RowCells(columns, ("1", "2"))) == {"a": "1", "b": "2"}
    assert dict(RowCells(columns, ("1", "2", "3", "4", "5"))) == dict(zip("abcd", "1234", strict=True))


def test_rows_under_other_columns_are_placed_anew() -> None:
    other = ColumnLayout({"b": 0, "a": 1})
    assert dict(to_row_cells(RowCells(ColumnLayout(PLACES), ("1", "2", "3", "4")), other)) == {
        "b": "2",
        "a": "1",
    }
    assert dict(to_row_cells({"a": "7"}, other)) == {"b": "", "a": "7"}


def test_cells_travel_to_other_processes() -> None:
    import copy
    import multiprocessing.reduction as reduction

    cells = RowCells(ColumnLayout(PLACES, {""}), ("1", "", "3", ""))
    assert dict(reduction.ForkingPickler.loads(reduction.ForkingPickler.dumps(cells))) == {"a": "1", "c": "3"}
    assert copy.deepcopy(cells) == cells


def test_equal_words_are_kept_once() -> None:
    words = SharedWords()
    first, second = words.share(["va" + "lue", "x"]), words.share(["val" + "ue" * 1, "y"])
    assert first[0] is second[0]


def test_a_table_takes_few_bytes_a_cell(tmp_path: Path) -> None:
    rows, columns = 400, 200
    path = tmp_path / "cases.csv"
    lines = [",".join(["subject", *(f"c{k}" for k in range(columns))])]
    lines += [",".join([f"S{n}", *(f"{(n * k) % 997}.5" for k in range(columns))]) for n in range(rows)]
    path.write_text("\n".join(lines) + "\n")
    (tmp_path / "cohort.yaml").write_text(
        "polytask: 1\nname: x\ninputs: {t: {kind: table, columns: {c1: {type: number}}}}\n"
        "tasks: {c0: {kind: regression}}\n"
    )
    read_text_table(path)  # what is imported on the way is not counted
    tracemalloc.start()
    cohort = Cohort.read(tmp_path)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(cohort.cases) == rows
    assert held <= 20 * rows * columns, "three dictionaries a row took more than 100 bytes a cell"


def test_the_digest_is_taken_row_by_row(tmp_path: Path) -> None:
    import hashlib
    import json

    from polytask.cohort.header_file import make_canonical_text

    (tmp_path / "cohort.yaml").write_text(
        "polytask: 1\nname: é\ninputs: {t: {kind: table, columns: {c1: {type: number}}}}\n"
        "tasks: {c0: {kind: regression}}\n"
    )
    (tmp_path / "cases.csv").write_text("subject,day,site,c1,c0,more\nS2,,A,1,2,ü\nS1,3,B,,4,\n")
    cohort = Cohort.read(tmp_path)
    rows = [
        [c.subject, c.visit, c.day, c.site, c.test, sorted(c.cells.items())]
        for c in sorted(cohort.cases, key=lambda c: (c.subject, c.visit))
    ]
    whole = make_canonical_text(cohort.header) + json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
    assert cohort.digest == hashlib.sha256(whole.encode()).hexdigest()


@pytest.mark.parametrize(
    "cell", ["", "1_0", " 1", "1 ", "nan", "inf", "١", "1e999", "0x1", "--1", "1,5", "e", "1-"]
)
def test_what_is_no_number(cell: str) -> None:
    assert parse_cell_number(cell) is None


@pytest.mark.parametrize(("cell", "value"), [("1", 1.0), ("-2.5e3", -2500.0), ("+.5", 0.5), ("1.", 1.0)])
def test_what_is_a_number(cell: str, value: float) -> None:
    assert parse_cell_number(cell) == value
