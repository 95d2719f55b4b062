from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.reader_client import ReaderClient
from tests.journeys.clinic_cohort import train_with_clinic


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`cohort`, `work` with the run `a`, evaluated, and `model`; no test changes them."""
    return train_with_clinic(tmp_path_factory.mktemp("fuzz"))


@pytest.fixture(scope="session")
def models() -> Iterator[ReaderClient]:
    """The process that reads documents and runs verbs."""
    with ReaderClient("models") as found:
        yield found
