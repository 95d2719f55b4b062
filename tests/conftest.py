"""Which tests run in one process, and which begin first: what takes long must not begin when all else is done."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = ("tests/study/", "tests/training/", "tests/journeys/", "tests/report/")
"""Folders with fixtures of the whole session that take many seconds: in two processes they would be made twice."""
LONG = (
    "tests/docs/test_docs.py",
    "tests/kinds/test_new_kind.py",
    "tests/predict/test_predictor.py",
    "tests/predict/test_crops.py",
    "tests/cli/test_doctor.py",
    "tests/cli/test_study.py",
    "tests/fuzz/test_images.py",
    "tests/fuzz/test_documents.py",
    "tests/plan/test_sizing.py",
)
"""Files of few tests that take long. They follow the folders above; without this list the last of them would keep one
process busy while the other has nothing to do."""


class LongFirstQueue(OrderedDict[str, dict[str, bool]]):
    """Scopes with their tests, of which those in `TOGETHER` and `LONG` are handed out first, in this order."""

    def popitem(self, last: bool = True) -> tuple[str, dict[str, bool]]:
        """Hand out one scope; xdist takes them from the front."""
        name = next((scope for scope in (*TOGETHER, *LONG) if scope in self), None)
        return super().popitem(last) if name is None else (name, self.pop(name))


class FileScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out files, and the folders of `TOGETHER` whole: the long ones first, then those with most tests."""

    def __init__(self, config: pytest.Config, log: Any):
        super().__init__(config, log)
        self.workqueue = LongFirstQueue()

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in TOGETHER if file.startswith(folder)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileScheduling:
    return FileScheduling(config, log)
