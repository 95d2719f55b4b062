"""Which tests run in one process: those of one file, and those of a folder whose fixtures train something once."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = ("tests/study/", "tests/training/", "tests/journeys/", "tests/report/")
"""Folders with fixtures of the whole session that take many seconds: in two processes they would be made twice. Large
groups begin first, so that small ones are left to even out the ends."""


class FileScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out files, and the folders of `TOGETHER` whole; those with most tests first."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in TOGETHER if file.startswith(folder)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileScheduling:
    return FileScheduling(config, log)
