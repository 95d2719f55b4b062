"""What presets cost beside `hard`, counted with the sizes of a plan."""

from __future__ import annotations

from polytask.cohort.cohort import Cohort
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_values
from polytask.plan.preset_costs import COMPARED_PRESETS, compare_presets, format_preset_costs
from tests.plan.worlds import header


def test_light_forms_cost_little_more_than_hard_and_published_ones_much(
    phantom: Cohort, phantom_plan: Plan
) -> None:
    costs = compare_presets(phantom_plan, phantom.header)
    assert list(costs) == list(COMPARED_PRESETS)
    for block in ("mtan", "ctan"):
        assert 1 < costs[f"{block}_light"].memory < costs[block].memory
        assert 1 < costs[f"{block}_light"].parameters < costs[block].parameters
    lines = list(format_preset_costs(costs))
    assert len(lines) == 1 + len(costs)
    assert lines[3].split() == ["mtan", f"{costs['mtan'].memory:.2f}", "×", "memory",
                                f"{costs['mtan'].parameters:.2f}", "×", "parameters"]  # fmt: skip


def test_a_plan_that_is_not_hard_stands_first(phantom: Cohort, phantom_plan: Plan) -> None:
    mine = set_values(phantom_plan, ["model.sharing=mtan", "model.form=paper", "model.decoder=mtan"])
    costs = compare_presets(mine, phantom.header)
    assert next(iter(costs)) == "this plan"
    assert costs["this plan"] == costs["mtan"]


def test_nothing_is_counted_where_nothing_is_shared(phantom: Cohort, phantom_plan: Plan) -> None:
    one = phantom.header.model_copy(update={"tasks": dict(list(phantom.header.tasks.items())[:1])})
    assert compare_presets(phantom_plan, one) == {}
    tables = header(
        "polytask: 1\nname: t\ninputs:\n  c: {kind: table, columns: {a: {type: number}}}\ntasks: {}\n",
        tasks={n: {"kind": "regression"} for n in ("size", "weight")},
    )
    assert compare_presets(phantom_plan, tables) == {}
    assert list(format_preset_costs({})) == []
