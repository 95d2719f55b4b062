"""Killed between any two writes, a run can be gone on with or made again, and one process works on it at a time."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from polytask.atomic_files import find_existing_folder, replace_folder_atomically
from polytask.errors import PolytaskError
from polytask.leftovers import HALF_WRITTEN_PREFIX
from polytask.locks import LockedError, hold_lock, is_lock_held
from polytask.training import fitting, folder
from polytask.training.ownership import find_results_lock, find_training_lock, own_results, own_run
from polytask.training.run import train
from tests.training.test_folder import write_run
from tests.training.test_resume import entries, weights

FEW = ["os", "grade"]
SHORT = ["training.epochs=2"]


class Killed(BaseException):
    """Stands for SIGKILL: nobody catches it."""


def killed(*args: object, **options: object) -> None:
    raise Killed


def test_locks_of_training_and_judging_lie_where_everybody_looks(tmp_path: Path) -> None:
    assert find_training_lock(tmp_path / "a") == tmp_path / ".a.lock"
    assert find_results_lock(tmp_path / "a") == tmp_path / "a" / ".lock"


def test_who_owns_a_run_sweeps_what_others_left_and_nothing_that_is_held(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "runs" / "a")
    (folder / "metrics.jsonl").touch()
    for left in (f"{HALF_WRITTEN_PREFIX}a", f"{HALF_WRITTEN_PREFIX}b", f"{HALF_WRITTEN_PREFIX}c"):
        (folder.parent / left).mkdir()
    (folder / "learnt.json.part").touch()
    (folder / "best.old").mkdir()
    with hold_lock(find_training_lock(folder.with_name("b")), "trains"), own_run(folder):
        assert is_lock_held(find_training_lock(folder))
        assert {p.name for p in folder.parent.iterdir() if p.name.startswith(HALF_WRITTEN_PREFIX)} == {
            f"{HALF_WRITTEN_PREFIX}b"
        }
        assert {p.name for p in folder.iterdir() if not p.name.startswith(".")} == {
            *("run.yaml", "plan.yaml", "metrics.jsonl", "best"),
        }
    assert not is_lock_held(find_training_lock(folder))


def test_a_run_that_is_not_there_yet_may_be_owned(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    with own_run(tmp_path / "runs" / "a"):
        assert is_lock_held(find_training_lock(tmp_path / "runs" / "a"))
        assert not (tmp_path / "runs" / "a").exists()


def test_who_judges_a_run_leaves_alone_what_its_training_writes(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "runs" / "a")
    part = folder / "metrics.jsonl.part"
    part.touch()
    with hold_lock(find_training_lock(folder), "trains"), own_results(folder):
        assert part.exists()
        assert is_lock_held(find_results_lock(folder))
    with own_results(folder):
        assert not part.exists()


def test_what_is_learnt_after_the_last_step_is_not_lost(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(work, name="whole", tasks=FEW, overrides=SHORT).folder
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "learn_survival", killed)
        with pytest.raises(Killed):
            train(work, name="cut", tasks=FEW, overrides=SHORT)
    cut = train(work, resume="cut").folder
    for name in ("learnt.json", "decisions.json"):
        assert json.loads((cut / name).read_text()) == json.loads((whole / name).read_text())
    assert weights(work, "whole") == weights(work, "cut")
    assert entries(work, "whole") == entries(work, "cut")


def test_a_finished_run_that_lost_it_learns_it_when_it_is_resumed(work: Path) -> None:
    run = train(work, name="a", tasks=FEW, overrides=SHORT).folder
    before = (run / "learnt.json").read_bytes()
    (run / "learnt.json").unlink()
    (run / "decisions.json").unlink()
    train(work, resume="a")
    assert (run / "learnt.json").read_bytes() == before
    assert json.loads((run / "decisions.json").read_text())["cutoffs"]


def test_a_run_appears_whole(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = work / "runs"
    with monkeypatch.context() as patch:
        patch.setattr(folder, "write_plan", killed)
        with pytest.raises(Killed):
            train(work, name="a", tasks=FEW, overrides=SHORT)
    assert not (runs / "a").exists()
    assert [p.name for p in runs.iterdir()] == [f"{HALF_WRITTEN_PREFIX}a"]
    train(work, name="b", tasks=["grade"], steps=1)
    assert [p.name for p in runs.iterdir()] == ["b"], "the next command sweeps what nobody makes"
    train(work, name="a", tasks=["grade"], steps=1)
    assert {p.name for p in runs.iterdir()} == {"a", "b"}


@pytest.mark.parametrize("left", ["run.yaml", "plan.yaml"])
def test_half_a_run_of_an_earlier_version_is_made_again(work: Path, left: str) -> None:
    run = train(work, name="a", tasks=["grade"], steps=1).folder
    for path in run.iterdir():
        if path.name != left:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(PolytaskError, match=r"(not a run|not a whole run) \(no (run|plan)\.yaml\)"):
        train(work, resume="a")
    train(work, name="a", tasks=["grade"], steps=1)
    assert (run / "best" / "model.safetensors").exists()


def test_a_folder_of_other_things_is_not_taken(work: Path) -> None:
    (work / "runs" / "a").mkdir(parents=True)
    (work / "runs" / "a" / "notes.txt").write_text("mine")
    with pytest.raises(PolytaskError, match="not a run"):
        train(work, name="a", tasks=["grade"], steps=1)
    assert (work / "runs" / "a" / "notes.txt").read_text() == "mine"


def test_two_processes_do_not_train_one_run(work: Path) -> None:
    run = train(work, name="a", tasks=["grade"], overrides=SHORT).folder
    before = (run / "metrics.jsonl").read_bytes()
    with hold_lock(find_training_lock(run), "trains this run"):
        with pytest.raises(LockedError, match=f"runs/a: process {os.getpid()} on .* trains this run"):
            train(work, resume="a", extend=1)
        with pytest.raises(LockedError):
            train(work, name="a")
    assert (run / "metrics.jsonl").read_bytes() == before
    train(work, resume="a", extend=1)
    assert not is_lock_held(find_training_lock(run))
    assert [p.name for p in run.parent.iterdir()] == ["a"]


def test_leftovers_are_swept_by_who_has_the_run_to_himself(work: Path) -> None:
    run = train(work, name="a", tasks=["grade"], steps=1).folder
    (run / "predictions" / "mask").mkdir(parents=True)
    left = [run / "learnt.json.part", run / "predictions/mask/.01.nii.gz.0123abcd.tmp", run / "best.new/x"]
    left += [
        run.parent / f"{HALF_WRITTEN_PREFIX}b/run.yaml",
        run.parent / f"{HALF_WRITTEN_PREFIX}a/run.yaml",
        run.parent / ".c.lock",
    ]
    kept = [run / "predictions/mask/x.part.nii.gz", run / "tensorboard/x.part"]
    for path in (*left, *kept):
        path.parent.mkdir(exist_ok=True)
        path.write_text("half")
    with (
        hold_lock(find_results_lock(run), "evaluates"),
        hold_lock(find_training_lock(run.with_name("b")), "trains"),
    ):
        with own_run(run):
            pass
        assert [p for p in left if p.exists()] == [*left[:2], left[3]], "others are just writing these"
    with own_run(run):
        pass
    assert not [p for p in left if p.exists()]
    assert all(p.exists() for p in kept)


def test_a_checkpoint_is_never_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a kill between two renames only `last.old` is left; a second kill at any rename must not lose it."""
    last, rename = tmp_path / "last", os.replace

    def fill(new: Path) -> None:
        (new / "step").write_text("2")

    for survived in range(4):
        shutil.rmtree(tmp_path)
        (tmp_path / "last.old").mkdir(parents=True)
        (tmp_path / "last.old" / "step").write_text("1")
        done = 0

        def rename_or_die(path: Path, target: Path, allowed: int = survived) -> None:
            nonlocal done
            if done == allowed:
                raise Killed
            done += 1
            rename(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", rename_or_die)
            with suppress(Killed):
                replace_folder_atomically(last, fill)
        found = find_existing_folder(last)
        assert found is not None
        assert (found / "step").read_text() == ("2" if survived == 3 else "1")


class StopsAt:
    """A reporter that sends this process SIGTERM at a step."""

    def __init__(self, step: int):
        self.at = step

    def begin(self, title: str, done: int, total: int) -> None: ...
    def move_end(self, total: int) -> None: ...

    def say(self, text: str) -> None: ...

    def step(self, step: int, losses: Mapping[str, float]) -> None:
        if step == self.at:
            os.kill(os.getpid(), 15)


@pytest.mark.parametrize("step", [4, 8])
def test_asked_to_stop_at_the_last_step_of_an_epoch_its_evaluation_is_not_left_out(
    work: Path, step: int
) -> None:
    from polytask.training.interrupt import TrainingInterrupted

    options = ["training.epochs=2", "training.tune_every=1"]
    train(work, name="whole", tasks=["grade"], overrides=options)
    try:
        train(work, name="cut", tasks=["grade"], overrides=options, reporter=StopsAt(step))
        stopped = False
    except TrainingInterrupted:
        stopped = True
    assert stopped == (step == 4), "at the end there is nothing to stop"
    train(work, resume="cut")
    assert weights(work, "whole") == weights(work, "cut")
    assert entries(work, "whole") == entries(work, "cut")
