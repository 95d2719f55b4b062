"""The whole verb: from a work folder to a store, through the command line."""

import json
import sys
from pathlib import Path

import pytest

from polytask.cli import main
from polytask.cohort.splits import Fold, Splits
from polytask.errors import PolytaskError
from polytask.plan.plan_file import write_plan
from polytask.prepare.loader import Loader
from polytask.prepare.store import Store
from polytask.prepare.store_builder import prepare
from tests.prepare.worlds import make_plan, write_cohort


@pytest.fixture
def work(tmp_path: Path) -> Path:
    cohort = write_cohort(tmp_path / "cohort")
    folder = tmp_path / "work"
    folder.mkdir()
    write_plan(make_plan(cohort), folder)
    return folder


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["polytask", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


def test_json(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["prepare", str(work), "--json"], capsys)
    done = json.loads(out)
    assert code == 0
    assert (done["cases"], done["made"], done["skipped"]) == (9, 9, 0)
    assert done["content"] == Store(work / "store").content
    _, out, _ = run(["prepare", str(work), "--jobs", "1"], capsys)
    assert "9 cases" in out
    assert "0 made, 9 kept" in out


def test_without_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["prepare", str(tmp_path)], capsys)
    assert code != 0
    assert not out
    assert "polytask plan" in err
    assert "Traceback" not in err
    assert not (tmp_path / "store").exists()


def test_a_cohort_that_changed(work: Path) -> None:
    table = work.parent / "cohort" / "cases.csv"
    table.write_text(table.read_text().replace("100,1", "200,1"))
    with pytest.raises(PolytaskError, match=r"polytask plan"):
        prepare(work)
    assert not (work / "store").exists()


def test_loading_from_the_work_folder(work: Path) -> None:
    from polytask.cohort.cohort import Cohort
    from polytask.plan.plan_schema import Plan

    prepare(work)
    cohort = Cohort.read(work.parent / "cohort")
    Splits((Fold(("s1", "s2", "s3"), ("s4",), ("s5",)),), "subject", 0).write(work / "splits.json")
    loader = Loader(Store(work / "store"), cohort, Plan.read(work), 0, "train", seed=0)
    found = list(loader.batches(0))
    assert len(found) == 4
    assert {s for b in found for s in b.subjects} == {"s1", "s2", "s3"}
