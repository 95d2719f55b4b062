"""One phantom for all tests of the room."""

from __future__ import annotations

from pathlib import Path

import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.phantom.generator import make_phantom
from polytask.cohort.splits import Splits, make_splits
from polytask.plan.fingerprint import make_fingerprint
from polytask.plan.fingerprint_records import Fingerprint
from polytask.plan.plan_schema import Plan
from polytask.plan.planner import make_plan
from tests.plan.worlds import LAPTOP


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve subjects, two visits, 24³, all kinds of task."""
    return make_phantom(tmp_path_factory.mktemp("plan") / "phantom", subjects=12, size=24, seed=0)


@pytest.fixture(scope="session")
def phantom(phantom_folder: Path) -> Cohort:
    """It, read."""
    return Cohort.read(phantom_folder)


@pytest.fixture(scope="session")
def phantom_print(phantom: Cohort) -> Fingerprint:
    """Its fingerprint."""
    return make_fingerprint(phantom)


@pytest.fixture(scope="session")
def phantom_splits(phantom: Cohort) -> Splits:
    """Three folds."""
    return make_splits(phantom, folds=3, seed=0)


@pytest.fixture(scope="session")
def phantom_plan(phantom: Cohort, phantom_print: Fingerprint, phantom_splits: Splits) -> Plan:
    """Its plan for two cores."""
    return make_plan(phantom, phantom_print, phantom_splits, machine=LAPTOP)
