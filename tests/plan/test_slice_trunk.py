"""A volume read slice by slice in the plan: its axis, its topology, and what it excludes."""

from __future__ import annotations

import pytest

from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_value, set_values
from polytask.plan.rules.network_cost import Topology
from polytask.plan.slice_trunk import drop_axis, find_slice_axis, flatten_topology
from polytask.plan.step_memory import predict_step_memory
from polytask.training.assemble import make_network_spec
from polytask.training.run_plan import plan_hash

SLICES = "images.scan.trunk=slices"


def spaced(plan: Plan, spacing: str) -> Plan:
    """The plan with the slices of an image of this spacing."""
    return set_values(plan, [f"images.scan.spacing={spacing}", f"images.scan.view_spacing={spacing}", SLICES])


@pytest.mark.parametrize(
    ("spacing", "axis"), [("[1,1,3]", 2), ("[1,3,1]", 1), ("[3,1,1]", 0), ("[1,1,1]", 2), ("[2,1,2]", 2)]
)
def test_slices_are_counted_along_the_coarsest_axis(phantom_plan: Plan, spacing: str, axis: int) -> None:
    assert find_slice_axis(spaced(phantom_plan, spacing).shared.images["scan"]) == axis


def test_no_rule_chooses_slices(phantom_plan: Plan) -> None:
    assert phantom_plan.shared.images["scan"].trunk is None
    assert find_slice_axis(phantom_plan.shared.images["scan"]) is None


def test_the_network_of_a_slice_has_the_strides_in_its_plane(phantom: Cohort, phantom_plan: Plan) -> None:
    plan = spaced(phantom_plan, "[1,3,1]")
    image = plan.shared.images["scan"]
    spec = make_network_spec(plan, plan.folds[0], phantom.header).images["scan"]
    assert (spec.dims, spec.slice_axis) == (2, 1)
    assert spec.strides == tuple((s[0], s[2]) for s in image.strides)
    assert drop_axis(((1, 2, 3),), None) == ((1, 2, 3),)


def test_slices_keep_more_than_a_volume_and_the_count_knows_it(phantom: Cohort, phantom_plan: Plan) -> None:
    volume, slices = (
        predict_step_memory(p, phantom.header) for p in (phantom_plan, set_value(phantom_plan, SLICES))
    )
    assert slices.kept > volume.kept
    flat = flatten_topology(Topology(3, 1, (8, 16), (1, 1), ((1, 1, 1), (2, 2, 2))), 2)
    assert flat.strides == ((1, 1, 1), (2, 2, 1))
    assert flat.taps == (9, 9)


def test_the_trunk_decides_the_weights(phantom_plan: Plan) -> None:
    assert plan_hash(phantom_plan, 0) != plan_hash(set_value(phantom_plan, SLICES), 0)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("images.scan.trunk=slabs", "trunk: 'slabs' is not valid"),
        ("images.scan.roi={attention: 4}", "trunk|roi"),
    ],
)
def test_what_slices_exclude_is_one_line(phantom_plan: Plan, setting: str, words: str) -> None:
    with pytest.raises(PolytaskError, match=words) as error:
        set_value(set_value(phantom_plan, SLICES), setting)
    assert "\n" not in str(error.value)
