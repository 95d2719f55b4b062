"""Tasks and networks from a plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.model.visit_fusion import MIN_FUSION_VISITS
from polytask.plan.plan_file import set_values
from polytask.plan.plan_schema import Plan
from polytask.training.assemble import (
    make_network,
    make_network_spec,
    make_tasks,
    require_compared_visits,
)
from tests.model.worlds import FIELDS, network_of, tasks_of
from tests.plan.worlds import header


def test_tasks_are_those_asked_for_in_the_order_of_the_plan() -> None:
    fold: Any = SimpleNamespace(tasks={n: FIELDS[n] for n in ("grade", "type", "response")})
    assert list(make_tasks(fold)) == ["grade", "type", "response"]
    assert list(make_tasks(fold, ["response", "grade", "nothing"])) == ["grade", "response"]
    assert make_tasks(fold, []) == {}
    found: Any = make_tasks(fold, ["type"], {"type": {"constant": 0.25}, "grade": {"constant": 0.5}})
    assert found["type"].constant == 0.25


def test_weights_are_a_function_of_the_seed_and_draw_nothing_from_others() -> None:
    tasks = tasks_of("visit")
    spec = network_of(tasks, 2).spec
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one = make_network(spec, tasks, 1)
    assert torch.equal(torch.rand(1), expected)
    again, other = make_network(spec, tasks, 1), make_network(spec, tasks, 2)
    weights = [torch.cat([p.flatten() for p in n.parameters()]) for n in (one, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_links_to_tasks_that_are_not_there_are_left_out() -> None:
    tasks = tasks_of("visit")
    spec = replace(network_of(tasks, 2).spec, after={"grade": ["type"], "type": ["grade"]})
    assert make_network(spec, tasks, 0).spec.after == {"grade": []}


@pytest.mark.parametrize("fusion", [name for name, least in MIN_FUSION_VISITS.items() if least > 1])
def test_a_fusion_of_visits_needs_a_task_of_the_cohort_that_joins_some(prepared: Path, fusion: str) -> None:
    plan = set_values(Plan.read(prepared), [f"model.visit_fusion={fusion}"])
    header = Cohort.read(prepared.parent / "cohort").header
    assert make_network_spec(plan, plan.folds[0], header).visit_fusion == fusion
    alone = header.model_copy(update={"tasks": {n: t for n, t in header.tasks.items() if n != "response"}})
    with pytest.raises(PolytaskError, match=f"{fusion}.*no subject task reads so many"):
        make_network_spec(plan, plan.folds[0], alone)


def test_a_fusion_that_compares_nothing_needs_no_subject_task() -> None:
    """A mask and a grade of each visit join no visits at all."""
    for fusion, least in MIN_FUSION_VISITS.items():
        if least > 1:
            with pytest.raises(PolytaskError, match="no subject task reads so many"):
                require_compared_visits(fusion, header())
        else:
            require_compared_visits(fusion, header())


def test_a_visit_task_with_a_history_sees_the_slots_of_its_subject(prepared: Path) -> None:
    """Even in a cohort without subject tasks a sample is then a subject, not a visit."""
    plan = set_values(Plan.read(prepared), ["model.visit_fusion=concat"])
    cohort = Cohort.read(prepared.parent / "cohort")
    grade = cohort.header.tasks["grade"]
    alone, joined = (
        replace(cohort, header=cohort.header.model_copy(update={"tasks": {"grade": task}}))
        for task in (grade, grade.model_copy(update={"history": True}))
    )
    spec = make_network_spec(plan, plan.folds[0], joined.header)
    assert (spec.history, spec.max_visits) == ({"grade"}, 2)
    spec = make_network_spec(plan, plan.folds[0], alone.header)
    assert (spec.history, spec.max_visits) == (set(), 1)
    assert {len(s.cases) for s in alone.samples()} == {1}
    assert max(len(s.cases) for s in joined.samples()) == 2
