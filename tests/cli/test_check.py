"""`polytask check` and `polytask import` as a person runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from polytask import cli
from polytask.cohort.phantom import make_phantom


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of one command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["polytask", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
    said = capsys.readouterr()
    return int(caught.value.code or 0), said.out, said.err


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    return make_phantom(tmp_path / "phantom", 12, 24, 0)


def test_a_sound_cohort_exits_0_even_with_warnings(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check", str(cohort))
    assert code == 0
    assert "0 errors" in out
    code, out, _ = run(capsys, "check", str(cohort), "--json", "--folds", "12")
    content = json.loads(out)
    assert (code, content["errors"]) == (0, 0)
    assert content["warnings"] == sum(p["count"] for p in content["problems"]) > 0


def test_a_problem_of_every_row_is_one_line_unless_all_are_asked_for(
    cohort: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for image in (cohort / "images").iterdir():
        image.unlink()
    code, out, _ = run(capsys, "check", str(cohort))
    assert code == 1
    assert out.count("scan.ct: no such file") == 1
    count = json.loads(run(capsys, "check", str(cohort), "--json")[1])["problems"][0]["count"]
    assert f"error: {count} times: scan.ct: no such file (" in out
    assert run(capsys, "check", str(cohort), "--all")[1].count("scan.ct: no such file") == count > 20


def test_errors_exit_1_with_one_line_each(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = cohort / "cases.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines, lines[1]]) + "\n")
    code, out, err = run(capsys, "check", str(cohort))
    assert code == 1
    assert "duplicate-case" in out
    assert "Traceback" not in out + err
    assert len(out.splitlines()) == len([line for line in out.splitlines() if "→" in line]) + 1


def test_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "check", str(tmp_path))
    assert code == 1
    assert "cohort.yaml" in out
    assert "Traceback" not in out + err


def test_import_table_and_check(cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "imported"
    code, out, err = run(
        capsys,
        *("import", "table", str(cohort / "cases.csv"), "-o", str(target)),
        *("--image", "scan.ct=scan.ct", "--image", "scan.mr=scan.mr", "--task", "grade=ordinal:G1,G2,G3"),
        *("--labels", "lesion=lesion:1,node:2", "--mask", "lesion=lesion"),
        *("--skip", "organs", "--skip", "organs_region", "--skip", "dose", "--skip", "dose_region"),
    )
    assert code == 0, err
    assert "task 'os': survival" in out
    assert sorted(p.name for p in target.iterdir()) == ["cases.csv", "cohort.yaml"]


def test_import_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ("nnunet", str(tmp_path)),
        ("decathlon", str(tmp_path / "x.json")),
        ("table", str(tmp_path / "x.csv")),
    ):
        code, out, err = run(capsys, "import", *arguments)
        assert code == 2
        assert "cannot be read" in err or "no such file" in err
        assert len((out + err).strip().splitlines()) == 1
