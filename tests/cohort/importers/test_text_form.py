"""Tables as other programs write them: encodings, separators, decimal commas; what is doubtful is asked."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.cohort import Cohort
from polytask.cohort.importers import decimal_commas, import_nnunet, import_table
from polytask.cohort.importers.decimal_commas import read_decimal_commas
from polytask.cohort.importers.find_encoding import find_encoding
from polytask.cohort.importers.text_form import TextForm, read_foreign_table
from polytask.cohort.text_table import make_text_table, read_text_table
from polytask.errors import PolytaskError
from tests.cohort.test_importers import nnunet

HEAD = ["patient_id", "Größe", "Einschätzung"]
ROWS = [[f"{n:03d}", f"{150 + 1.5 * n:.2f}", ("gut", "mäßig", "schlecht")[n % 3]] for n in range(12)]


def text(separator: str, decimal: str, head: list[str] = HEAD, rows: list[list[str]] = ROWS) -> str:
    lines = [head, *([cells[0], cells[1].replace(".", decimal), *cells[2:]] for cells in rows)]
    return "".join(separator.join(cells) + "\r\n" for cells in lines)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", text(";", ",").encode("cp1252"), ["Latin-1", "'Einschätzung'", "';'", "decimal comma"]),
        ("a.csv", text(";", ",").encode("utf-8-sig"), ["';'", "decimal comma ('150,00' in column 'Größe')"]),
        ("a.csv", text("\t", ",").encode("utf-16"), ["UTF-16", "tabs", "decimal comma"]),
        ("a.csv", text(",", ".").encode("utf-16-le"), ["UTF-16-LE"]),
        ("a.csv", text(",", ".").encode("utf-16-be"), ["UTF-16-BE"]),
        ("a.tsv", text("\t", ".").encode("latin-1"), ["Latin-1"]),
        ("a.csv", text("|", ".").encode(), ["'|'"]),
        ("a.csv", b"sep=;\r\n" + text(";", ".").encode(), ["';'"]),
        ("a.csv.gz", gzip.compress(text(";", ",").encode("cp1252")), ["Latin-1", "';'", "decimal comma"]),
    ],
)
def test_tables_of_other_programs_are_read_and_what_was_decided_is_said(
    tmp_path: Path, name: str, content: bytes, said: list[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    notes: list[str] = []
    table = read_foreign_table(tmp_path / name, TextForm(), notes)
    assert list(table.columns) == HEAD
    assert [[row.cells[c] for c in HEAD] for row in table.rows] == ROWS
    assert len(notes) == 1
    assert all(word in notes[0] for word in said)


def test_a_plain_table_needs_no_word(tmp_path: Path) -> None:
    notes: list[str] = []
    for name, mark in (("a.csv", ","), ("a.tsv", "\t")):
        (tmp_path / name).write_text(text(mark, "."), encoding="utf-8-sig")
        assert len(read_foreign_table(tmp_path / name, TextForm(), notes).rows) == len(ROWS)
    assert notes == []


def test_our_own_tables_stay_strict(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(text(",", ".").encode("cp1252"))
    with pytest.raises(PolytaskError, match="not UTF-8 text"):
        read_text_table(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text(text(";", "."))
    with pytest.raises(PolytaskError, match="separated by semicolons"):
        read_text_table(tmp_path / "b.csv")


@pytest.mark.parametrize(
    "content",
    [
        "пол,возраст\nмужской,3\n".encode("cp1251"),
        "id,性别\n1,男性\n".encode("gb18030"),
        "id,sex\n1,männlich\n".encode("cp850"),
        "id,sex\n1,männlich\n".encode("mac-roman"),
        "id,płeć\n1,mężczyzna\n".encode("cp1250"),
        "id,é\n".encode() + "1,été\n".encode("cp1252"),
    ],
    ids=["cp1251", "gb18030", "cp850", "mac-roman", "cp1250", "mixed"],
)
def test_a_doubtful_encoding_is_asked(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(PolytaskError, match="neither UTF-8 nor Latin-1") as error:
        read_foreign_table(tmp_path / "a.csv", TextForm(), [])
    assert "--encoding" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "word", ["été", "âgé", "Größe", "naïve", "10 µg", "5 m²", "±3", "l’âge", "ålder", "Ñu"]
)
def test_western_words_are_latin(tmp_path: Path, word: str) -> None:
    (tmp_path / "a.csv").write_bytes(f"id,x\n1,{word}\n".encode("cp1252"))
    encoding, _ = find_encoding(tmp_path / "a.csv")
    assert encoding == "cp1252"


def test_options_settle_what_is_doubtful(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("номер;рост\n1;1,5\n".encode("cp1251"))
    table = read_foreign_table(tmp_path / "a.csv", TextForm("semicolon", "cp1251", "point"), notes := [])
    assert table.rows[0].cells == {"номер": "1", "рост": "1,5"}
    assert notes == ["a.csv: read as CP1251, separated by ';'"]
    for form, said in (
        (TextForm(encoding="rot13"), "--encoding rot13: no such encoding"),
        (TextForm(encoding="cp1251", separator="dot"), "--separator 'dot'"),
        (TextForm(encoding="cp1251", decimal="dot"), "--decimal 'dot'"),
    ):
        with pytest.raises(PolytaskError, match=said):
            read_foreign_table(tmp_path / "a.csv", form, [])


def test_two_separators_that_fit_are_asked(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Name, Vorname;Alter\nA, B;3\nC, D;4\n")
    with pytest.raises(
        PolytaskError, match=r"separated by ',' \(2 columns\) or ';' \(2 columns\).*--separator"
    ):
        read_foreign_table(tmp_path / "a.csv", TextForm(), [])
    table = read_foreign_table(tmp_path / "a.csv", TextForm(separator=";"), [])
    assert table.columns == ("Name, Vorname", "Alter")


def test_lists_in_cells_are_no_separators(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id,known,codes\n1,a;b,"2,3"\n2,b;c,"1,2"\n')
    table = read_foreign_table(tmp_path / "a.csv", TextForm(), notes := [])
    assert [row.cells["codes"] for row in table.rows] == ["2,3", "1,2"]
    assert notes == []


def decimals(cells: list[list[str]], stated: str = "", comma: str = ";") -> list[list[str]]:
    """Columns a, b, … of these cells after decimal commas were read."""
    names = [chr(97 + k) for k in range(len(cells))]
    lines = [(1, names), *((n + 2, list(row)) for n, row in enumerate(zip(*cells, strict=True)))]
    table, _ = read_decimal_commas(make_text_table(Path("t.csv"), lines), stated, comma)
    return [[row.cells[name] for row in table.rows] for name in names]


def test_numbers_with_a_comma_become_numbers_with_a_point() -> None:
    cells = ["12,5", "1.234,5", "1 234,5", "-0,25", ">12,5", "3", "", "1,5e-3"]
    assert decimals([cells]) == [["12.5", "1234.5", "1234.5", "-0.25", ">12.5", "3", "", "1.5e-3"]]
    dates = ["12.05.2020", "01.02.2021", "03.04.2022", "03.04.2023"]
    words = ["1,5 mg", "2,5 mg", "ja, nein", "x"]
    lists = ["1,2,3", "2,3", "1,2", "1"]
    assert decimals([["1,5", "2", "3", ""], dates, words, lists]) == [
        ["1.5", "2", "3", ""],
        dates,
        words,
        lists,
    ]


@pytest.mark.parametrize(
    ("columns", "comma", "said"),
    [
        (
            [["12,5", "3,5"], ["0.5", "0.7"]],
            ";",
            r"'12,5' in column 'a'.*'0\.5' in column 'b'.*--decimal comma",
        ),
        ([["12,5", "1.234"]], ";", r"with a point \('1\.234' in column 'a'\)"),
        ([["1.234", "987"]], ";", "three decimals or means thousands; .*--decimal point"),
        ([["1,234", "987"]], "\t", "three decimals or means thousands"),
    ],
)
def test_doubtful_numbers_are_asked(columns: list[list[str]], comma: str, said: str) -> None:
    with pytest.raises(PolytaskError, match=said):
        decimals(columns, comma=comma)
    assert decimals(columns, "point", comma) == columns


@given(st.from_regex(decimal_commas._PLAIN_COMMA_NUMBER, fullmatch=True))
def test_the_quick_look_at_a_common_number_finds_what_the_patterns_find(cell: str) -> None:
    """It is none of the doubtful forms, and rewriting it only exchanges the comma."""
    doubtful = (decimal_commas._AMBIGUOUS_NUMBER, decimal_commas._ENGLISH_NUMBER, decimal_commas._CODE_LIST)
    assert not any(pattern.fullmatch(cell) for pattern in doubtful)
    match = decimal_commas._COMMA_NUMBER.fullmatch(cell)
    assert match is not None
    assert f"{match['sign']}{match['whole']}.{match['rest']}" == cell.replace(",", ".")


def test_a_stated_decimal_sign_holds() -> None:
    assert decimals([["12,5", "1.234"], ["1.234", "987"]], "comma") == [["12.5", "1234"], ["1234", "987"]]
    assert decimals([["2,3", "2,5"]], "comma", ",") == [["2.3", "2.5"]]
    assert decimals([["1,234", "2,345"], ["0,5", "1"]]) == [["1.234", "2.345"], ["0.5", "1"]]
    assert decimals([["1,234.5", "2,345.1"]]) == [["1,234.5", "2,345.1"]]


def test_import_reads_a_german_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(text(";", ",").encode("cp1252"))
    done = import_table([tmp_path / "a.csv"], inputs=["Größe"], tasks=["urteil=classification@Einschätzung"])
    assert done.notes[0].startswith("a.csv: read as Latin-1")
    cohort = Cohort.read(done.folder)
    assert [case.cells["Größe"] for case in cohort.cases] == [row[1] for row in ROWS]
    assert "mäßig" in (done.folder / "cases.csv").read_text(encoding="utf-8")


def test_the_targets_of_nnunet_are_read_alike(tmp_path: Path) -> None:
    folder = nnunet(tmp_path)
    cases = sorted(p.name[:-12] for p in (folder / "imagesTr").glob("*_0000.nii.gz"))
    (folder / "targets.tsv").write_bytes(
        ("Fall;Größe\n" + "".join(f"{c};{n},5\n" for n, c in enumerate(cases))).encode("cp1252")
    )
    done = import_nnunet(folder, tmp_path / "out", tasks=["size=regression@Größe"])
    assert any("targets.tsv: read as Latin-1" in note and "decimal comma" in note for note in done.notes)
    assert {case.cells.get("size") for case in Cohort.read(done.folder).cases} >= {"0.5"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_no_table(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(PolytaskError, match="is a named pipe; expected a table"):
        import_table([tmp_path / "a.csv"])
