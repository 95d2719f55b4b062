from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread, Timer

import pytest
import yaml

from polytask.errors import PolytaskError
from polytask.locks import hold_lock
from polytask.study.process_memory import measure_peak_memory
from polytask.study.run_one import describe_process_end, run_one, wait_for_orphan
from polytask.study.run_spec import RunSpec
from polytask.study.run_worker import StopRequest, claim_run_folder
from polytask.study.study_design import StudyDesign
from polytask.study.study_folder import Study, find_run_state

LEASH = StopRequest.of_this_process(Path("/nowhere"))


def ended_process() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def first(study: Study) -> RunSpec:
    return next(study.of_arm("hard")).spec


def test_a_finished_run_is_not_repeated(finished: Study) -> None:
    spec = first(finished)
    seal = finished.work / "runs" / spec.name / "best" / "model.sha256"
    before = seal.stat().st_mtime_ns
    assert run_one(str(finished.work), spec, LEASH).ended == "done"
    assert seal.stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", [{"costs": [1.0]}, {"costs": {"disk_mb": {}}}, {"seconds": "long"}])
def test_a_run_whose_record_holds_something_else_counts_as_not_finished(
    finished: Study, tmp_path: Path, damage: dict[str, object]
) -> None:
    spec = first(finished)
    folder = Path(shutil.copytree(finished.work / "runs" / spec.name, tmp_path / spec.name))
    assert find_run_state(spec, folder) == ("done", "")
    record = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps(record | damage))
    assert find_run_state(spec, folder) == ("missing", "")


def test_a_finished_run_of_other_values_does_not_count(finished: Study) -> None:
    spec = replace(first(finished), steps=99)
    folder = finished.work / "runs" / spec.name
    assert find_run_state(spec, folder) == ("missing", "")
    with pytest.raises(PolytaskError, match="made with other values"):
        claim_run_folder(folder, spec)


def test_nothing_is_begun_when_the_study_is_to_stop_or_another_command_has_it(
    finished: Study, tmp_path: Path
) -> None:
    spec = replace(first(finished), seed=7, name="s.hard-fold0-seed7")
    pulled = StopRequest.of_this_process(tmp_path)
    Path(pulled.stop).touch()
    assert run_one(str(finished.work), spec, pulled).ended == "stopped"
    orphan = StopRequest("/nowhere/stop", LEASH.host, ended_process())
    assert run_one(str(finished.work), spec, orphan).ended == "stopped"
    with hold_lock(spec.active, "works on this run"):
        assert run_one(str(finished.work), spec, LEASH).ended == "elsewhere"
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
    spec = replace(first(finished), seed=9, name="s.hard-fold0-seed9")
    held, let_go = Event(), Event()

    def orphan() -> None:
        with hold_lock(spec.active, "works on this run", note={"command": ended_process()}):
            held.set()
            let_go.wait(30)

    saving = Thread(target=orphan)
    saving.start()
    held.wait(30)
    Timer(0.5, let_go.set).start()
    assert wait_for_orphan(spec, LEASH)
    assert let_go.is_set()
    saving.join()
    with hold_lock(spec.active, "works on this run", note={"command": os.getpid()}):
        assert not wait_for_orphan(spec, LEASH)
