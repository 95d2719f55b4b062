"""A folder of answers: whose it is, and what a kill left there."""

from __future__ import annotations

from pathlib import Path

import pytest

from polytask.errors import PolytaskError
from polytask.locks import LockedError, hold_lock
from polytask.predict.output_folder import (
    PREDICTION_LOCK,
    PREDICTIONS_FOLDER,
    PREDICTIONS_TABLE,
    check_output_folder,
    lock_output_folder,
)


class Killed(BaseException):
    """Stands for SIGKILL."""


def kill_at_the_table(out: Path) -> None:
    """What a process leaves that is killed while it writes the table."""
    (out / PREDICTIONS_FOLDER / "mask").mkdir(parents=True)
    (out / PREDICTIONS_FOLDER / "mask" / "a.nii.gz").write_text("a")
    (out / PREDICTIONS_FOLDER / "mask" / ".b.nii.gz.01234567.tmp").write_text("b")
    for name in (f".{PREDICTIONS_TABLE}.89abcdef.tmp", PREDICTION_LOCK, f"{PREDICTION_LOCK}.json"):
        (out / name).write_text("")


def test_a_killed_prediction_is_made_again_by_the_same_command(tmp_path: Path) -> None:
    out = tmp_path / "out"
    kill_at_the_table(out)
    check_output_folder(out)
    with lock_output_folder(out):
        assert sorted(p.name for p in out.iterdir()) == [PREDICTION_LOCK, f"{PREDICTION_LOCK}.json"]
        (out / PREDICTIONS_TABLE).write_text("subject\n")
    assert [p.name for p in out.iterdir()] == [PREDICTIONS_TABLE]
    with pytest.raises(PolytaskError, match="--overwrite"):
        check_output_folder(out)


def test_two_processes_do_not_write_into_one_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with lock_output_folder(out):
        with pytest.raises(LockedError, match="predicts into this folder"):
            check_output_folder(out, overwrite=True)
        with pytest.raises(LockedError), lock_output_folder(out):
            pass


def test_files_of_others_are_kept_beside_what_a_kill_left(tmp_path: Path) -> None:
    out = tmp_path / "out"
    kill_at_the_table(out)
    (out / "notes.tmp").write_text("mine")
    with pytest.raises(PolytaskError, match=r"notes\.tmp"):
        check_output_folder(out, overwrite=True)


def test_a_complete_prediction_with_a_stale_temporary_table_is_replaced_when_asked(tmp_path: Path) -> None:
    out = tmp_path / "out"
    kill_at_the_table(out)
    (out / PREDICTION_LOCK).unlink()
    with pytest.raises(PolytaskError, match="--overwrite"):
        check_output_folder(out)
    check_output_folder(out, overwrite=True)
    with hold_lock(tmp_path / "elsewhere.lock", "works"), lock_output_folder(out):
        assert not (out / PREDICTIONS_FOLDER).exists()
