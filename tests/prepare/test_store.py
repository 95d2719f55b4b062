"""Cases of the store as they are read: from disk once, and again when they were prepared anew."""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from polytask.errors import PolytaskError
from polytask.prepare import store as store_module
from tests.prepare.worlds import filled


def test_a_case_is_read_once_and_again_when_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, store = filled(tmp_path)
    reads: list[Path] = []
    read = store_module._read_case_meta
    monkeypatch.setattr(store_module, "_read_case_meta", lambda path: reads.append(path) or read(path))
    assert [store.case("s1@first").meta["subject"] for _ in range(3)] == ["s1"] * 3
    path = store.folder / "s1@first" / "meta.json"
    assert reads == [path]
    path.write_text(json.dumps({**json.loads(path.read_text()), "subject": "another"}))
    assert store.case("s1@first").meta["subject"] == "another"
    assert reads == [path] * 2


def test_a_damaged_case_is_refused_each_time(tmp_path: Path) -> None:
    _, _, store = filled(tmp_path)
    path = store.folder / "s1@first" / "meta.json"
    assert store.case("s1@first").meta
    path.write_text('{"images": {"scan": {}}, "targets": {}}')
    for _ in range(2):
        with pytest.raises(PolytaskError, match=r"meta.json: not a case of the store; delete the folder"):
            store.case("s1@first").known("dose")


def test_no_more_cases_are_kept_than_the_limit() -> None:
    assert store_module._read_kept_meta.cache_info().maxsize == store_module.MAX_KEPT_METAS


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_map_has_the_values_of_the_file_whatever_took_its_place(tmp_path: Path, order: str) -> None:
    path, fresh = tmp_path / "image.scan.npy", tmp_path / "fresh.npy"
    first = np.asarray(np.arange(24, dtype=np.int16).reshape(2, 3, 4), order="F" if order == "F" else "C")
    np.save(path, first)
    for _ in range(2):
        mapped = store_module.map_stored_array(path, "r")
        assert isinstance(mapped, np.memmap)
        assert not mapped.flags.writeable
        np.testing.assert_array_equal(mapped, first)
    own = store_module.map_stored_array(path, "c")
    own[:] = 7
    np.testing.assert_array_equal(store_module.map_stored_array(path, "r"), first)
    del mapped, own
    for second in (np.zeros((5, 2), np.float32), np.ones((2, 3, 4), np.int16)):
        np.save(fresh, second)
        os.replace(fresh, path)
        np.testing.assert_array_equal(store_module.map_stored_array(path, "r"), second)


def test_what_is_no_array_is_refused_each_time(tmp_path: Path) -> None:
    path = tmp_path / "image.scan.npy"
    path.write_bytes(b"no array")
    for _ in range(2):
        with pytest.raises(PolytaskError, match=r"scan.npy: cannot be read \(.*delete its folder"):
            store_module.map_stored_array(path, "r")
    path.unlink()
    with pytest.raises(PolytaskError, match=r"scan.npy: cannot be read \("):
        store_module.map_stored_array(path, "r")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts the open files of the process")
def test_the_header_is_read_once_and_no_file_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"{number}.npy" for number in range(20)]
    for path in paths:
        np.save(path, np.zeros((4, 4)))
    reads: list[str] = []
    load = np.load
    monkeypatch.setattr(np, "load", lambda path, **options: reads.append(path) or load(path, **options))
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        for path in paths:
            assert store_module.map_stored_array(path, "r").sum() == 0
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before
    assert reads == [str(path) for path in paths]
    assert store_module._read_array_form.cache_info().maxsize == store_module.MAX_KEPT_FORMS
