from __future__ import annotations

import threading
from pathlib import Path

import pytest

from polytask.training import tensorboard_file
from polytask.training.tensorboard_file import TensorBoardFile

tensorboard = pytest.importorskip("tensorboard")


def test_tensorboard_reads_what_was_added(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
    from tensorboard.compat.proto.event_pb2 import SessionLog

    threads = threading.active_count()
    board = TensorBoardFile(tmp_path / "joint", 4)
    board.add({"tune/skill": 0.25, "loss/grade": 1.5}, 8)
    (path,) = (tmp_path / "joint").glob("events.out.tfevents.*")
    for _ in range(2):  # while it is open, and when it is closed
        version, start, numbers = LegacyEventFileLoader(str(path)).Load()
        assert version.file_version == "brain.Event:2"
        assert (start.step, start.session_log.status) == (4, SessionLog.START)
        assert numbers.step == 8
        assert {v.tag: v.simple_value for v in numbers.summary.value} == {
            "tune/skill": 0.25,
            "loss/grade": 1.5,
        }
        board.close()
    assert threading.active_count() == threads


def test_a_file_is_written_only_where_tensorboard_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = TensorBoardFile.find(tmp_path / "there", 0)
    assert board is not None
    board.close()
    assert list((tmp_path / "there").iterdir())
    monkeypatch.setattr(tensorboard_file, "find_spec", lambda name: None)
    assert TensorBoardFile.find(tmp_path / "not", 0) is None
    assert not (tmp_path / "not").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_ends_the_board_and_nothing_else(tmp_path: Path) -> None:
    board = TensorBoardFile(tmp_path, 0)
    board._file.close()
    board._file = Path("/dev/full").open("wb")  # noqa: SIM115
    for step in range(3):
        board.add({"loss": 1.0}, step)
    board.close()
    (tmp_path / "file").write_text("in the way")
    TensorBoardFile(tmp_path / "file", 0).add({"loss": 1.0}, 1)
