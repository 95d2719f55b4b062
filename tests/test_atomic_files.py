"""Files and folders are whole or not there, and an error on the way leaves what was there before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from polytask.atomic_files import (
    create_folder_atomically,
    remove_folder_atomically,
    write_file_atomically,
    write_text_atomically,
)
from polytask.leftovers import UNFINISHED_FILE


class StoppedError(Exception):
    pass


def refuse(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with write_file_atomically(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
        assert part.parent == tmp_path
        assert UNFINISHED_FILE.fullmatch(part.name), "what a kill leaves is swept"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [StoppedError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_no_part(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    write_text_atomically(path, "old")

    def write_half() -> None:
        with write_file_atomically(path) as part:
            part.write_text("new")
            raise error

    with pytest.raises(error):
        write_half()
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a.txt": "old"}


def test_a_refused_rename_leaves_the_old_file_and_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    write_text_atomically(path, "old")
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        write_text_atomically(path, "new")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a.txt": "old"}


def test_only_durable_text_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", refuse)
    write_text_atomically(tmp_path / "a.txt", "µ")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "µ"
    with pytest.raises(OSError, match="No space"):
        write_text_atomically(tmp_path / "b.txt", "b", durable=True)
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_what_a_kill_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".a.txt.part").write_text("much longer than what follows")
    write_text_atomically(tmp_path / "a.txt", "new")
    half = tmp_path / ".half-b"
    (half / "left").mkdir(parents=True)
    with create_folder_atomically(tmp_path / "b", half):
        (half / "x").write_text("x")
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")) == ["a.txt", "b", "b/x"]


def test_a_folder_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    folder, half = tmp_path / "a", tmp_path / ".half-a"
    folder.mkdir()
    (folder / "x").write_text("old")

    def fill_half() -> None:
        with create_folder_atomically(folder, half):
            (half / "x").write_text("new")
            raise StoppedError

    with pytest.raises(StoppedError):
        fill_half()
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (folder / "x").read_text() == "old"


def test_a_removed_folder_is_gone(tmp_path: Path) -> None:
    folder, half = tmp_path / "a", tmp_path / ".half-a"
    folder.mkdir()
    (folder / "x").write_text("x")
    half.mkdir()
    (half / "left").write_text("by a kill")
    remove_folder_atomically(folder, half)
    assert list(tmp_path.iterdir()) == []
