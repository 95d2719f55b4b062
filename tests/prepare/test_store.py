"""Cases of the store as they are read: from disk once, and again when they were prepared anew."""

from __future__ import annotations

import json
from pathlib import Path

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
