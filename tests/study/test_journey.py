"""A study as a person meets it: begun, failing in a run, mended; killed, stopped, gone on with."""

from __future__ import annotations

import html
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest

from polytask.locks import read_lock_note
from polytask.plan.plan_schema import Plan
from polytask.study.study_folder import Study, StudyRun, note_failure
from polytask.training.state import read_state
from tests.journeys.run_cli import polytask, run_successfully
from tests.study.conftest import Walk


def test_one_failed_run_does_not_stop_the_rest(walk: Walk) -> None:
    said = walk.failing
    assert said.code == 1
    assert "3 of 4 runs done, 1 failed" in said.out
    assert "failed: hard, fold 1, seed 0:" in said.out
    assert "not this study's" in said.out
    assert "arm hard, fold 1: all seeds failed" in said.out
    assert "s.hard-fold1-seed0: failed:" in said.err
    assert "s.single-fold0-seed0: done in" in said.err
    assert "Traceback" in walk.note


def test_what_is_left_is_looked_at_ahead_and_done(walk: Walk) -> None:
    ahead, mended = walk.ahead.json, walk.mended.json
    assert (ahead["done"], ahead["failed"], ahead["todo"], ahead["steps"]) == (3, 1, 1, 2)
    assert set(ahead["measured"]) == {"single", "hard"}
    assert walk.mended.code == 0
    assert [run["state"] for run in mended["runs"]] == ["done"] * 4
    study = Study.read(walk.work / "studies" / "s")
    files = ["conclusions.json", "report.html", "results.parquet", "study.yaml"]
    assert sorted(p.name for p in study.folder.iterdir()) == files
    page = html.unescape((study.folder / "report.html").read_text(encoding="utf-8"))
    assert mended["conclusions"]["sentence"] in page
    assert not (walk.work / "test_log.jsonl").exists(), "the test part was not touched"


def test_the_other_verbs_work_on_its_runs(finished: Study) -> None:
    run = next(finished.of_arm("hard"))
    assert (
        run_successfully("evaluate", run.folder, "--part", "tune", "--resamples", 5, "--device", "cpu").code
        == 0
    )


def test_an_arm_without_any_result_is_named(finished: Study) -> None:
    from polytask.cli.study import summarize_study

    for run in finished.of_arm("hard"):
        shutil.rmtree(run.folder)
        note_failure(run.spec, f"out of luck in fold {run.fold}", "")
    lines = summarize_study(Study.read(finished.folder))
    assert "2 of 4 runs done, 2 failed" in lines[0]
    assert "failed: hard, fold 1, seed 0: out of luck in fold 1" in lines
    assert "arm hard: all 2 runs failed, so it cannot be compared" in lines


WORDS = (
    "--sharing",
    "single",
    "--folds",
    2,
    "--seeds",
    1,
    "--resamples",
    5,
    "--device",
    "cpu",
    "--steps",
    200,
)


@pytest.mark.slow
def test_a_study_that_is_stopped_or_whose_run_is_killed_goes_on(work: Path) -> None:
    folder = work / "studies" / "s"
    words = [*WORDS, "--tasks", "grade", "--set", "training.steps_per_epoch=100", "--jobs", 2, "-o", folder]
    command = [sys.executable, "-m", "polytask", "study", str(work), *map(str, words)]
    with (work / "out.txt").open("w") as out:
        stopped = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    wait_until_at_work(folder, runs=2)
    os.killpg(stopped.pid, signal.SIGINT)  # as Ctrl-C does: everybody hears it
    assert stopped.wait(timeout=60) == 130
    said = (work / "out.txt").read_text()
    assert "0 of 2 runs done, 2 to do" in said
    assert f"stopped by SIGINT; everything is saved. Continue with:\n  polytask study {folder}\n" in said
    assert not (folder / "active").exists()
    for run in Study.read(folder).runs:
        assert read_state(run.folder / "last" / "grade")["step"] > 0, "saved where it was stopped"

    def kill() -> None:
        (now, *_) = wait_until_at_work(folder, runs=1)
        os.kill(read_lock_note(now.spec.active)["pid"], signal.SIGKILL)

    Thread(target=kill, daemon=True).start()
    hurt = polytask("study", folder)
    assert hurt.code == 1
    assert "the run's process was ended by SIGKILL (out of memory?)" in hurt.out
    assert "1 of 2 runs done, 1 failed" in hurt.out
    assert "2 of 2 runs done" in run_successfully("study", folder, "--backend", "threading").out
    for run in Study.read(folder).runs:
        state = read_state(run.folder / "last" / "grade")
        assert (state["step"], state["finished"]) == (200, True)


def wait_until_at_work(folder: Path, runs: int) -> list[StudyRun]:
    """So many runs that have taken a step."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        known = Study.read(folder).runs if (folder / "study.yaml").exists() else ()
        found = [run for run in known if "step" in run.progress[1] and run.active]
        if len(found) >= runs:
            return found
        time.sleep(0.05)
    raise AssertionError("no run was begun")


@pytest.mark.slow
def test_an_arm_with_values_of_its_own_joins_a_study(finished: Study) -> None:
    """It trains with its values, is named everywhere, and the study's folder alone is enough to go on."""
    text = "slim: preset=mtan, model.form=light, training.rate=0.01"
    first = run_successfully("study", finished.folder, "--arm", text, "--json").json
    assert first["arms"] == ["single", "hard", "slim"]
    said = "preset=mtan, model.form=light, training.rate=0.01"
    assert first["arm_values"] == {"single": "sharing=single", "hard": "sharing=hard", "slim": said}
    study = Study.read(finished.folder)
    runs = list(study.of_arm("slim"))
    assert [run.state for run in runs] == ["done", "done"]
    plans = [Plan.read(run.folder).shared for run in runs]
    assert {(p.model.preset, p.model.form, p.model.decoder, p.training.rate) for p in plans} == {
        ("mtan", "light", "mtan", 0.01)
    }
    page = html.unescape((study.folder / "report.html").read_text(encoding="utf-8"))
    assert "own values" in page
    assert "model.form=light, training.rate=0.01" in page
    ahead = polytask("study", finished.folder, "--dry-run", "--json").json
    assert (ahead["arms"], ahead["todo"]) == (["single", "hard", "slim"], 0)
    other = polytask("study", finished.folder, "--arm", "slim: sharing=hard", "--dry-run")
    assert other.code == 2
    assert f"--arm slim: the study has this arm as {said}; choose another name" in other.err
    fixed = polytask("study", finished.folder, "--arm", "b: sharing=hard, training.epochs=3", "--dry-run")
    assert (fixed.code, len(fixed.err.strip().splitlines())) == (2, 1)
