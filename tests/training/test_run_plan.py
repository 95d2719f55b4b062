"""The plan of a run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from polytask.errors import PolytaskError
from polytask.training.run_plan import find_cohort_folder, require_member


def test_members_of_a_registry_are_chosen_by_name() -> None:
    require_member("balance", "equal")
    require_member("sharing", "hard")
    with pytest.raises(PolytaskError, match="--balance upgrd: did you mean 'upgrad'"):
        require_member("balance", "upgrd")


def test_the_cohort_lies_relative_to_the_work_folder(tmp_path: Path) -> None:
    (tmp_path / "cohort").mkdir()
    plan: Any = SimpleNamespace(cohort="../cohort")
    assert find_cohort_folder(tmp_path / "work", plan) == (tmp_path / "cohort").resolve()
    lost: Any = SimpleNamespace(cohort="../other")
    with pytest.raises(PolytaskError, match="the cohort of the plan is not there") as raised:
        find_cohort_folder(tmp_path / "work", lost)
    assert f"{tmp_path / 'work' / 'plan.yaml'}" in str(raised.value)
    with pytest.raises(PolytaskError) as raised:
        find_cohort_folder(tmp_path / "work", lost, tmp_path / "run")
    assert str(raised.value).endswith(f"{tmp_path / 'run' / 'plan.yaml'}")
