"""The child's side of a run: its order, its progress, how it stops, and what it notes of a failure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from polytask.errors import PolytaskError
from polytask.locks import hold_lock, read_lock_note
from polytask.study import run_worker
from polytask.study.run_spec import RunSpec
from polytask.study.run_worker import (
    EXIT_CODES,
    ORDER_JSON,
    RunEnding,
    RunProgress,
    StopRequest,
    WorkerOrder,
    claim_run_folder,
    count_run_seconds,
    execute_run,
    note_failure,
    update_run_record,
)
from polytask.study.study_folder import find_run_state, read_run_record
from polytask.training.interrupt import TrainingInterrupted, catch_stop_signals


@pytest.fixture
def order(tmp_path: Path) -> WorkerOrder:
    """One run of a study that nobody has begun."""
    spec = RunSpec(
        str(tmp_path / "s"),
        "s.hard-fold0-seed0",
        "hard",
        "hard",
        "equal",
        "",
        0,
        0,
        4,
        ("a", "b"),
        (),
        "cpu",
        1,
        5,
    )
    return WorkerOrder(tmp_path / "work", spec, StopRequest.of_this_process(tmp_path))


def test_an_order_is_the_same_behind_the_pipe(order: WorkerOrder) -> None:
    orders = [order, replace(order, spec=replace(order.spec, tasks=None, overrides=("training.epochs=4",)))]
    assert [ORDER_JSON.validate_json(ORDER_JSON.dump_json(each)) for each in orders] == orders


def test_who_waits_for_a_run_loads_no_torch() -> None:
    code = "import sys, polytask.study.run_one; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_progress_is_told_and_a_stop_is_one_signal(
    order: WorkerOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_worker, "NOTE_INTERVAL_SECONDS", 0.0)
    spec = order.spec
    with hold_lock(spec.active, "works on this run") as run_lock, catch_stop_signals() as asked:
        progress = RunProgress(run_lock, order)
        progress.step(1, {})
        told = read_lock_note(spec.active)
        assert (told["share"], told["what"]) == (pytest.approx(0.9 * 1 / 4), "step 1 of 4")
        assert told["command"] == os.getpid()
        progress.evaluated(1, 2, "case")
        assert read_lock_note(spec.active)["share"] == pytest.approx(0.95)
        assert not asked.signal
        Path(order.stop_request.stop).touch()
        progress.step(2, {})
        assert asked.signal == signal.SIGTERM
        # A second signal would end this process: the usual handler is back.
        progress.step(3, {})
        with pytest.raises(TrainingInterrupted):
            progress.evaluated(2, 2, "case")


@pytest.mark.parametrize(
    ("trouble", "ending", "noted"),
    [
        (None, "done", ""),
        (TrainingInterrupted(signal.SIGTERM, 3), "stopped", ""),
        (KeyboardInterrupt(), "stopped", ""),
        (PolytaskError("the store is gone"), "failed", "the store is gone"),
        (ValueError("odd\nsecond line"), "failed", "ValueError: odd"),
    ],
)
def test_every_end_has_its_name(
    order: WorkerOrder,
    monkeypatch: pytest.MonkeyPatch,
    trouble: BaseException | None,
    ending: RunEnding,
    noted: str,
) -> None:
    def perform(order: WorkerOrder, progress: RunProgress) -> None:
        assert not order.spec.failed.exists(), "what an earlier try noted is gone"
        if trouble is not None:
            raise trouble

    monkeypatch.setattr(run_worker, "perform_run", perform)
    note_failure(order.spec, "an earlier try", "")
    assert execute_run(order) == ending
    assert find_run_state(order.spec, order.folder) == ("failed" if noted else "missing", noted)
    assert not order.spec.active.exists()


def test_a_run_that_another_process_works_on_is_left_to_it(order: WorkerOrder) -> None:
    with hold_lock(order.spec.active, "works on this run"):
        assert execute_run(order) == "elsewhere"


def test_a_folder_of_somebody_else_is_not_touched(order: WorkerOrder) -> None:
    assert not claim_run_folder(order.folder, order.spec)
    (order.folder / "best").mkdir(parents=True)
    with pytest.raises(PolytaskError, match="not this study's"):
        claim_run_folder(order.folder, order.spec)
    assert execute_run(order) == "failed"
    assert "not this study's" in find_run_state(order.spec, order.folder)[1]
    assert [p.name for p in order.folder.iterdir()] == ["best"], "no seconds are noted there either"
    (order.folder / "best").rmdir()
    assert not claim_run_folder(order.folder, order.spec), "killed before anything was learned: begun anew"
    assert not order.folder.exists()


def test_every_ending_has_an_exit_code_of_its_own() -> None:
    assert EXIT_CODES == {"done": 0, "failed": 1, "stopped": 3, "elsewhere": 4}


def test_a_failure_is_one_line_and_then_everything(order: WorkerOrder) -> None:
    note_failure(order.spec, "what went\nwrong", "Traceback …\nthe end")
    assert find_run_state(order.spec, order.folder) == ("failed", "what went wrong")
    assert order.spec.failed.read_text().endswith("Traceback …\nthe end\n")


def test_what_is_noted_of_a_run_adds_up(tmp_path: Path) -> None:
    update_run_record(tmp_path, seconds=1.5)
    update_run_record(tmp_path, costs={"steps": 2})
    with suppress(ValueError), count_run_seconds(tmp_path):
        raise ValueError
    assert 1.5 < read_run_record(tmp_path)["seconds"] < 60, "the time of a try that failed counts"
    assert (tmp_path / "study.json").read_text().count("seconds") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["study.json"]
