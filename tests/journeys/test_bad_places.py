"""Folders that cannot be written, disks that fill up, interruptions: nothing is left half-written."""

from __future__ import annotations

import errno
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from polytask.prepare import store_builder as prepare_room
from tests.journeys.ct_cohort import make_quick_settings
from tests.journeys.run_cli import hash_folder_files, polytask, run_successfully


@pytest.mark.parametrize("where", ["file/below", "file"])
def test_output_that_cannot_be_written(trained: Path, tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("here already")
    cohort, run, out = trained / "cohort", trained / "work/runs/a", tmp_path / where
    for words in (
        ("phantom", out, "--subjects", 3),
        ("import", "table", cohort / "cases.csv", "-o", out),
        ("plan", cohort, "-o", out, "--folds", 2),
        ("predict", run, cohort, "-o", out),
        ("export", run, "-o", out),
    ):
        complaint = polytask(*words).complaint
        assert str(out) in complaint, words
        assert (tmp_path / "file").read_text() == "here already"


@pytest.mark.parametrize(
    ("verb", "blocked"), [("prepare", "store"), ("train", "runs"), ("evaluate", "runs/a/predictions")]
)
def test_work_folder_that_cannot_be_written(trained: Path, verb: str, blocked: str) -> None:
    work = trained / "work"
    shutil.rmtree(work / blocked, ignore_errors=True)
    given = work / "runs/a" if verb == "evaluate" else work
    (work / blocked).write_text("in the way")
    before = hash_folder_files(work)
    assert blocked.split("/")[0] in polytask(verb, given).complaint
    assert hash_folder_files(work) == before


def test_disk_full_while_preparing(trained: Path) -> None:
    """The space is asked for before a case is written; a write that fails all the same leaves no half case."""
    work = trained / "work"
    shutil.rmtree(work / "store")
    usage = shutil.disk_usage
    with patch("shutil.disk_usage", lambda place: usage(place)._replace(free=100)):
        complaint = polytask("prepare", work).complaint
    assert [w for w in ("store", "disk full", "9 cases", "same command") if w not in complaint] == []
    assert hash_folder_files(work / "store") == {}

    written = 0

    def refuse(number: int) -> None:
        nonlocal written
        written += 1
        if written > 9:
            raise OSError(errno.ENOSPC, "No space left on device")

    with patch("os.fsync", refuse):
        assert "disk full" in polytask("prepare", work, "--jobs", 1).complaint
    finished = sorted(p.name for p in (work / "store").iterdir())
    assert finished
    assert not [name for name in finished if name.startswith(".") or name == "store.json"]
    assert "no finished store" in polytask("train", work).complaint
    assert run_successfully("prepare", work, "--json").json["skipped"] == len(finished)


def test_real_disk_full(trained: Path, tiny_disk: Path) -> None:
    cohort, run = trained / "cohort", trained / "work/runs/a"
    assert (
        "No space"
        in polytask("plan", cohort, "-o", tiny_disk / "w", "--folds", 2, *make_quick_settings()).complaint
    )
    assert not (tiny_disk / "w/plan.yaml").exists()
    assert not (tiny_disk / "w/splits.json").exists()
    shutil.rmtree(tiny_disk / "w")
    assert str(tiny_disk / "m") in polytask("export", run, "-o", tiny_disk / "m").complaint
    assert hash_folder_files(tiny_disk) == {}
    (tiny_disk / "filler").write_bytes(bytes(48_000))
    assert str(tiny_disk / "p") in polytask("predict", run, cohort, "-o", tiny_disk / "p").complaint
    assert not (tiny_disk / "p/predictions.csv").exists()
    assert str(tiny_disk) in polytask("phantom", tiny_disk / "c").complaint
    assert not (tiny_disk / "c").exists()


def test_real_disk_full_while_preparing_and_training(trained: Path, tiny_disk: Path) -> None:
    work = tiny_disk / "work"
    work.mkdir()
    shutil.copy(trained / "work/splits.json", work)
    plan = (trained / "work/plan.yaml").read_text().splitlines(keepends=True)
    elsewhere = [f"cohort: {trained / 'cohort'}\n" if x.startswith("cohort:") else x for x in plan]
    (trained / "plan.yaml").write_text("".join(elsewhere))
    (work / "plan.yaml").symlink_to(trained / "plan.yaml")
    complaint = polytask("prepare", work, "--jobs", 1).complaint
    assert [w for w in ("disk full", "are free", "finished cases are kept") if w not in complaint] == []
    assert not [p for p in hash_folder_files(work) if ".half" in p]
    shutil.rmtree(work / "store")
    (work / "store").symlink_to(trained / "work/store")
    said = polytask("train", work, "--name", "n")
    assert said.code == 2
    assert "No space" in said.err
    assert "Traceback" not in said.err
    assert not [p for p in hash_folder_files(work) if p.endswith(".new")]


def test_predicting_onto_a_full_disk_drops_the_old_table(trained: Path, tmp_path: Path) -> None:
    """`predictions.csv` says that the folder is complete: it never stands beside masks of another call."""
    run, out = trained / "work/runs/a", tmp_path / "out"
    run_successfully("predict", run, trained / "cohort", "-o", out)
    full = OSError(errno.ENOSPC, "No space left on device")
    with patch("polytask.predict.write_outputs.escape_cells", side_effect=full):
        complaint = polytask("predict", run, trained / "cohort", "-o", out, "--overwrite").complaint
    assert [w for w in ("predictions.csv", "No space left") if w not in complaint] == []
    assert not [p for p in hash_folder_files(out) if "predictions.csv" in p]


def test_a_new_plan_that_cannot_be_written_leaves_the_old_one(trained: Path) -> None:
    work = trained / "work"
    before = hash_folder_files(work)
    full = OSError(errno.ENOSPC, "No space left on device")
    with patch("polytask.plan.plan_file.render_plan", side_effect=full):
        said = polytask("plan", trained / "cohort", "-o", work, "--folds", 3, *make_quick_settings())
    assert "No space" in said.complaint
    now = hash_folder_files(work)
    assert {p: h for p, h in now.items() if p in before} == before
    assert set(now) - set(before) <= {"plan.yaml.old"}


def test_interrupted_prepare_goes_on(trained: Path) -> None:
    work = trained / "work"
    shutil.rmtree(work / "store")
    made = prepare_room.make_case

    def slow(recipe: object, folder: Path, masks: None) -> object:
        if len(list(folder.iterdir())) >= 3:
            raise KeyboardInterrupt
        return made(recipe, folder, masks)  # type: ignore[arg-type]

    with patch.object(prepare_room, "make_case", slow):
        said = polytask("prepare", work, "--jobs", 1)
    assert said.code == 128 + signal.SIGINT
    assert f"polytask prepare {work}" in said.err
    kept = len(list((work / "store").iterdir()))
    assert kept == 3
    assert run_successfully("prepare", work, "--json").json["skipped"] == kept


def test_ctrl_c_elsewhere_is_one_line(cohort: Path) -> None:
    with patch("polytask.cohort.check.gather_evidence", side_effect=KeyboardInterrupt):
        said = polytask("check", cohort)
    assert said.code == 128 + signal.SIGINT
    assert said.err.strip() == "polytask: interrupted; run the same command again"


def test_a_real_process_says_one_line_and_exits_2(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "polytask", "plan", str(tmp_path), "-o", str(tmp_path / "w")]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("polytask: error: ")
    assert ended.stderr.count("\n") == 1
