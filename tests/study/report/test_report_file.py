from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from polytask.errors import PolytaskError
from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.report.report_file import write_study_report
from tests.study.report.worlds import DICE


def test_the_page_lies_in_the_studys_folder_and_is_the_same_twice(study: Callable[..., Conclusions]) -> None:
    found = study(tasks={"lesion": DICE}, silent=True)
    path = write_study_report(found)
    first = path.read_bytes()
    assert path == found.gathered.study.folder / "report.html"
    assert write_study_report(found).read_bytes() == first


@pytest.mark.usefixtures("blank_pictures")
def test_a_page_that_cannot_be_made_leaves_the_last_one(
    study: Callable[..., Conclusions], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = study(tasks={"lesion": DICE}, silent=True)
    path = write_study_report(found)
    before = path.read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(
        PolytaskError, match=r"report\.html: cannot be written \(No space left.*free some space"
    ):
        write_study_report(found)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir() if p.name.endswith(".part")] == []


@pytest.mark.usefixtures("blank_pictures")
def test_a_folder_in_the_way_is_said(study: Callable[..., Conclusions]) -> None:
    found = study(tasks={"lesion": DICE}, silent=True)
    Path(found.gathered.study.folder / "report.html" / "inside").mkdir(parents=True)
    with pytest.raises(PolytaskError, match="cannot be written"):
        write_study_report(found)
