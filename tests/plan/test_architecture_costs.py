"""What an architecture costs with the sizes of a plan, counted without computing anything."""

from __future__ import annotations

import pytest

from polytask.cohort.cohort import Cohort
from polytask.model.sharing import SHARINGS
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_value
from polytask.training.architecture_costs import count_architecture_cost


def test_networks_that_read_fewer_visits_than_the_cohort_has_are_counted(
    phantom: Cohort, phantom_plan: Plan
) -> None:
    """Under `single` a network may have no task that compares visits; the plan's fusion of visits stays."""
    plan = set_value(phantom_plan, "model.visit_fusion=difference")
    single = plan.shared.model.model_copy(update={"sharing": "single"})
    hard = count_architecture_cost(plan, phantom.header, plan.shared.model)
    assert count_architecture_cost(plan, phantom.header, single).parameters > 2 * hard.parameters


@pytest.mark.parametrize("sharing", list(SHARINGS))
def test_every_block_is_counted_without_numbers(sharing: str, phantom: Cohort, phantom_plan: Plan) -> None:
    hard = phantom_plan.shared.model
    cost = count_architecture_cost(phantom_plan, phantom.header, hard.model_copy(update={"sharing": sharing}))
    base = count_architecture_cost(phantom_plan, phantom.header, hard)
    ratios = cost.divide_by(base)
    assert cost.flops > 0
    assert (ratios.flops >= 1) == (ratios.parameters >= 1)
    assert (ratios.flops == ratios.parameters == ratios.memory == 1) == (sharing == "hard")
