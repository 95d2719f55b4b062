"""Files and folders of checkpoints."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from polytask.atomic_files import find_existing_folder, replace_folder_atomically
from polytask.errors import PolytaskError
from polytask.training.tensor_files import load_tensors, save_tensors, sha256


def test_tensors_come_back_and_anybody_may_read_them(tmp_path: Path) -> None:
    given = {"a": torch.arange(6.0).reshape(2, 3).T, "b": torch.tensor(True)}
    save_tensors(tmp_path / "x.safetensors", given)
    found = load_tensors(tmp_path / "x.safetensors")
    assert set(found) == {"a", "b"}
    assert torch.equal(found["a"], given["a"])
    (tmp_path / "plain").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("x.safetensors", "plain")]
    assert modes[0] == modes[1]


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"nothing")
    for name in ("x", "none"):
        with pytest.raises(PolytaskError, match="not a readable weight file"):
            load_tensors(tmp_path / name)


def fill_with(text: str, fails: bool = False) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        (folder / "text").write_text(text)
        if fails:
            raise KeyboardInterrupt

    return fill


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "best"
    assert find_existing_folder(folder) is None
    replace_folder_atomically(folder, fill_with("one"))
    replace_folder_atomically(folder, fill_with("two"))
    assert (folder / "text").read_text() == "two"
    with pytest.raises(KeyboardInterrupt):
        replace_folder_atomically(folder, fill_with("three", fails=True))
    assert (folder / "text").read_text() == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["best"]


def test_after_a_crash_between_the_renames_the_old_one_is_found(tmp_path: Path) -> None:
    folder, old = tmp_path / "best", tmp_path / "best.old"
    old.mkdir()
    (old / "text").write_text("old")
    assert find_existing_folder(folder) == old
    replace_folder_atomically(folder, fill_with("new"))
    assert find_existing_folder(folder) == folder
    assert [p.name for p in tmp_path.iterdir()] == ["best"]


def test_a_hash_is_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()
