"""The plan of a task with landmarks."""

from __future__ import annotations

from pathlib import Path

import pytest

from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.kinds.plan_reasons import PlanReasons
from polytask.plan.fingerprint_records import Fingerprint
from polytask.plan.rules.fold_facts import FoldFacts
from polytask.plan.rules.task_rules import plan_task
from polytask.plan.validate import parse_task_fields
from polytask.tasks import make_task
from polytask.tasks.survival import Survival
from tests.cohort.longitudinal import describe_course, write_course


def facts_of(folder: Path, *train: str) -> FoldFacts:
    """The facts of a fold with these training subjects."""
    return FoldFacts(Cohort.read(folder), Fingerprint.model_construct(cases={}), 0, train, {})


def test_every_landmark_has_its_own_curve_of_the_training_subjects_at_risk(tmp_path: Path) -> None:
    """Subject b is censored on the day of its second visit: at risk at the first alone."""
    folder, why = write_course(tmp_path), PlanReasons()
    planned = plan_task(facts_of(folder, "a", "b", "d"), "relapse", why)
    assert {v: c["times"] for v, c in planned["landmarks"].items()} == {
        "start": [30.0, 200.0],
        "second": [167.0],
        "third": [134.0],
    }
    assert "start 3 (1), second 2 (1), third 2 (1)" in why.reasons["landmarks"]
    parse_task_fields(planned, "relapse")
    task = make_task("relapse", planned)
    assert isinstance(task, Survival)
    assert list(task.landmarks) == ["start", "second", "third"]


def test_a_landmark_at_which_nobody_is_at_risk_is_one_line(tmp_path: Path) -> None:
    header = describe_course(origin=None)
    header["visits"].insert(0, "screening")
    header["tasks"]["relapse"]["landmarks"].insert(0, "screening")
    with pytest.raises(
        PolytaskError, match="task relapse: nobody is at risk at landmark 'screening'"
    ) as caught:
        plan_task(facts_of(write_course(tmp_path, header=header), "a", "d"), "relapse", PlanReasons())
    assert "\n" not in str(caught.value)
