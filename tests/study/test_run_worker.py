"""One run of a study in its own process: who starts it and waits, its order, its progress, how it stops and ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread, Timer

import pytest
import yaml

from polytask.errors import PolytaskError
from polytask.locks import hold_lock, read_lock_note
from polytask.study import run_worker
from polytask.study.process_memory import measure_peak_memory
from polytask.study.run_spec import RunSpec
from polytask.study.run_worker import (
    EXIT_CODES,
    ORDER_JSON,
    RunEnding,
    RunProgress,
    WorkerOrder,
    describe_process_end,
    execute_run,
    run_one,
    wait_for_orphan,
)
from polytask.study.stop_request import StopRequest
from polytask.study.study_design import StudyDesign
from polytask.study.study_folder import (
    Study,
    claim_run_folder,
    count_run_seconds,
    find_run_state,
    note_failure,
    read_run_record,
    update_run_record,
)
from polytask.training.interrupt import TrainingInterrupted, catch_stop_signals

STOP_REQUEST = StopRequest.of_this_process(Path("/nowhere"))


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
    code = "import sys, polytask.study.run_worker; print('torch' in sys.modules)"
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


def start_ended_process() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def get_first_spec(study: Study) -> RunSpec:
    return next(study.of_arm("hard")).spec


def test_a_finished_run_is_not_repeated(finished: Study) -> None:
    spec = get_first_spec(finished)
    seal = finished.work / "runs" / spec.name / "best" / "model.sha256"
    before = seal.stat().st_mtime_ns
    assert run_one(str(finished.work), spec, STOP_REQUEST).ended == "done"
    assert seal.stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", [{"costs": [1.0]}, {"costs": {"disk_mb": {}}}, {"seconds": "long"}])
def test_a_run_whose_record_holds_something_else_counts_as_not_finished(
    finished: Study, tmp_path: Path, damage: dict[str, object]
) -> None:
    spec = get_first_spec(finished)
    folder = Path(shutil.copytree(finished.work / "runs" / spec.name, tmp_path / spec.name))
    assert find_run_state(spec, folder) == ("done", "")
    record = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps(record | damage))
    assert find_run_state(spec, folder) == ("missing", "")


def test_a_finished_run_of_other_values_does_not_count(finished: Study) -> None:
    spec = replace(get_first_spec(finished), steps=99)
    folder = finished.work / "runs" / spec.name
    assert find_run_state(spec, folder) == ("missing", "")
    with pytest.raises(PolytaskError, match="made with other values"):
        claim_run_folder(folder, spec)


def test_nothing_is_begun_when_the_study_is_to_stop_or_another_command_has_it(
    finished: Study, tmp_path: Path
) -> None:
    spec = replace(get_first_spec(finished), seed=7, name="s.hard-fold0-seed7")
    pulled = StopRequest.of_this_process(tmp_path)
    Path(pulled.stop).touch()
    assert run_one(str(finished.work), spec, pulled).ended == "stopped"
    orphan = StopRequest("/nowhere/stop", STOP_REQUEST.host, start_ended_process())
    assert run_one(str(finished.work), spec, orphan).ended == "stopped"
    with hold_lock(spec.active, "works on this run"):
        assert run_one(str(finished.work), spec, STOP_REQUEST).ended == "elsewhere"
    assert not (finished.work / "runs" / spec.name).exists()


def test_the_end_of_a_process_is_put_into_words() -> None:
    assert describe_process_end(-9).startswith("the run's process was ended by SIGKILL (out of memory?)")
    assert "exit code 7" in describe_process_end(7)


def test_peak_memory_is_the_own_one_not_that_of_the_process_before() -> None:
    ballast = bytearray(os.urandom(1024) * 1024 * 300)  # 300 MiB, every page written
    mine = measure_peak_memory()
    code = "from polytask.study.process_memory import measure_peak_memory; print(measure_peak_memory())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert float(out) < mine - 250
    assert len(ballast) > 0


def test_every_run_has_the_same_budget_and_threads(finished: Study) -> None:
    design = StudyDesign.read(finished.folder)
    for run in finished.runs:
        settings = yaml.safe_load((run.folder / "plan.yaml").read_text())["shared"]["training"]
        assert (settings["patience"], settings["tune_every"]) == (0, design.tune_every)
        assert settings["threads"] == design.threads
        networks = yaml.safe_load((run.folder / "run.yaml").read_text())["networks"]
        assert len(networks) == (3 if run.arm.baseline else 1)
        for network in networks:
            state = json.loads((run.folder / "last" / network / "state.json").read_text())
            assert (state["step"], state["finished"]) == (2, True)


def test_a_run_whose_command_was_killed_is_waited_for(finished: Study) -> None:
    """It saves itself and ends; a command that goes on at once must not leave it as another command's."""
    spec = replace(get_first_spec(finished), seed=9, name="s.hard-fold0-seed9")
    held, let_go = Event(), Event()

    def orphan() -> None:
        with hold_lock(spec.active, "works on this run", note={"command": start_ended_process()}):
            held.set()
            let_go.wait(30)

    saving = Thread(target=orphan)
    saving.start()
    held.wait(30)
    Timer(0.5, let_go.set).start()
    assert wait_for_orphan(spec, STOP_REQUEST)
    assert let_go.is_set()
    saving.join()
    with hold_lock(spec.active, "works on this run", note={"command": os.getpid()}):
        assert not wait_for_orphan(spec, STOP_REQUEST)
