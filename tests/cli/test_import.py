"""`polytask import`: every option reaches the importer, and a person reads what was decided."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from polytask.cli.import_ import import_
from polytask.cohort import Cohort
from polytask.errors import PolytaskError


def spreadsheet(folder: Path) -> Path:
    lines = ["code,months,died,where,original_a,original_b,size,note"]
    lines += [
        f"p{n},{n}.5,{float(n % 2)},{'AB'[n % 2]},{n}.1,{n}.2,{n if n % 4 else 'odd'},t" for n in range(24)
    ]
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    (folder / "more.csv").write_text("code,f1\n" + "".join(f"p{n},{n}.7\n" for n in range(24)))
    return folder / "t.csv"


def run(*words: str | Path) -> tuple[int, str, BaseException | None]:
    done = CliRunner().invoke(import_, [str(w) for w in words])
    return done.exit_code, done.stdout, done.exception


def test_every_option_of_a_table_reaches_the_importer(tmp_path: Path) -> None:
    path = spreadsheet(tmp_path)
    words = ["table", path, "-o", tmp_path / "out", "--subject", "code", "--site", "where", "--skip", "no*"]
    words += ["--task", "death=survival:months,died", "--task", "size=regression", "--input", "original_*"]
    words += [
        "--input-file",
        tmp_path / "more.csv",
        "--unit",
        "death=weeks",
        "--unit",
        "size=mm",
        "--name",
        "n",
    ]
    code, _, error = run(*words)
    assert code
    assert isinstance(error, PolytaskError)
    assert "task 'size' would lose 6 of 24 rows" in str(error)
    assert not (tmp_path / "out").exists()
    code, shown, error = run(*words, "--accept-loss", "size")
    assert (code, error) == (0, None)
    assert "task 'size': 6 of 24 rows cannot be read and are unknown" in shown
    header = Cohort.read(tmp_path / "out").header
    assert header.name == "n"
    assert list(header.tables["clinic"].columns) == ["original_a", "original_b", "f1"]
    assert [(n, getattr(t, "unit", "")) for n, t in header.tasks.items()] == [
        ("death", "weeks"),
        ("size", "mm"),
    ]


def test_the_notes_are_one_json_document(tmp_path: Path) -> None:
    code, shown, _ = run("table", spreadsheet(tmp_path), "--subject", "code", "--skip", "size", "--json")
    assert code == 0
    notes = json.loads(shown)["notes"]
    assert any("task 'survival'" in note and "'1' = observed" in note for note in notes)
    assert not [note for note in notes if "\n" in note]


@pytest.mark.parametrize(
    "words",
    [
        ["--contours", "scan"],
        ["--unit", "os"],
        ["--dvh", "dose="],
        ["--known", "x"],
        ["--contours", "scan=a.nii.gz:"],
    ],
)
def test_options_that_say_nothing_are_named(tmp_path: Path, words: list[str]) -> None:
    _, _, error = run("table", spreadsheet(tmp_path), "--subject", "code", *words)
    assert isinstance(error, PolytaskError)
    assert str(error).startswith(words[0])
