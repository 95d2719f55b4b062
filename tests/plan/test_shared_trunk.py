"""One encoder for several image inputs in the plan: the common topology, what it costs, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.header import Header
from polytask.errors import PolytaskError
from polytask.model.network import count_parameters
from polytask.plan.fingerprint_records import CaseRecord, Fingerprint, VoxelRecord
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_value
from polytask.plan.plan_summary import list_summary_rows
from polytask.plan.planner import make_plan
from polytask.plan.preset_costs import compare_presets
from polytask.plan.presets import apply_preset
from polytask.plan.rules.common_topology import join_topologies
from polytask.plan.rules.network_cost import Topology
from polytask.plan.step_memory import predict_step_memory
from polytask.training.assemble import make_network, make_network_spec, make_tasks
from polytask.training.run_plan import plan_hash
from tests.plan.worlds import LAPTOP, cohort_of, graded, header, image_record, one_fold

SIZES = {"scan": (96, 96, 24), "pet": (40, 40, 40)}
SHARED = "model.trunk=shared"


def world(sizes: dict[str, tuple[int, ...]]) -> tuple[Cohort, Fingerprint]:
    """Grades, and masks on the scan, of inputs of these sizes; the scan has thick slices."""
    inputs: dict[str, Any] = {
        n: {"kind": "image", "dims": len(size), "channels": {"ct": "CT"}} for n, size in sizes.items()
    }
    tasks = {
        "tumour": {"kind": "segmentation", "image": "scan", "labels": {"tumour": 1}},
        "grade": {"kind": "ordinal", "order": ["G1", "G2", "G3"]},
    }
    cells = [row | {"tumour": "m.nii.gz"} | {f"{n}.ct": f"{n}.nii.gz" for n in sizes} for row in graded(12)]
    cohort = cohort_of(header(inputs=inputs, tasks=tasks), cells)
    records = {}
    for case in cohort.cases:
        images = {
            n: image_record(size, (1.0, 1.0, 4.0) if n == "scan" and len(size) == 3 else None)
            for n, size in sizes.items()
        }
        dims = len(sizes["scan"])
        totals = {"none": 1000, "nonzero": 1000, "body": 1000}
        drawn = VoxelRecord(counts={"tumour": 50}, totals=totals, sizes={"tumour": (10.0,) * dims})  # type: ignore[arg-type]
        records[case.key] = CaseRecord(
            digest="0", subject=case.subject, images=images, voxels={"tumour": drawn}
        )
    return cohort, Fingerprint(cases=records)


def plan_of(sizes: dict[str, tuple[int, ...]] = SIZES, *settings: str) -> tuple[Plan, Header]:
    cohort, found = world(sizes)
    plan = make_plan(cohort, found, one_fold(cohort), machine=LAPTOP, settings=settings)
    return plan, cohort.header


def test_no_rule_shares_a_trunk() -> None:
    plan, _ = plan_of()
    assert plan.shared.model.trunk is None
    assert plan.shared.why["model.trunk"].startswith("null: each of the 2 image inputs")
    assert len({image.strides for image in plan.shared.images.values()}) == 2, "they differ by themselves"
    one = plan_of({"scan": (32, 32, 32)})[0]
    assert one.shared.why["model.trunk"] == "null: there is one image input"
    mixed = plan_of({"scan": (32, 32, 32), "photo": (64, 64)})[0]
    assert "different dimensions" in mixed.shared.why["model.trunk"]


def test_a_shared_trunk_is_planned_with_a_common_topology() -> None:
    apart, _ = plan_of()
    plan, head = plan_of(SIZES, SHARED)
    scan, pet = (plan.shared.images[n] for n in SIZES)
    assert (scan.widths, scan.blocks, scan.strides, scan.kernels) == (
        pet.widths,
        pet.blocks,
        pet.strides,
        pet.kernels,
    )
    assert plan.shared.why["model.trunk"].startswith("set by hand")
    changed = {
        (n, key)
        for n in SIZES
        for key in ("widths", "blocks", "strides", "kernels")
        if getattr(apart.shared.images[n], key) != getattr(plan.shared.images[n], key)
    }
    assert changed
    for name, key in changed:
        assert plan.shared.why[f"images.{name}.{key}"].startswith(
            "common to scan, pet, which one encoder reads"
        )
    for name in SIZES:
        assert plan.shared.images[name].view == apart.shared.images[name].view, "the sizes stay"
    assert ("image encoder", "one for all inputs") in [(r.what, r.value) for r in list_summary_rows(plan)]
    network = make_network(make_network_spec(plan, plan.folds[0], head), make_tasks(plan.folds[0]), 0)
    assert network.blocks.names() == ["shared"]


def test_of_each_stage_the_smaller_stride_and_the_larger_kernel() -> None:
    flat = Topology(
        3, 1, (8, 16, 32), (1, 1, 2), ((1, 1, 1), (2, 2, 1), (2, 2, 2)), ((3, 3, 1), (3, 3, 1), (3, 3, 3))
    )
    cubic = Topology(3, 2, (16, 16), (1, 2), ((1, 1, 1), (2, 2, 2)))
    joined = join_topologies([flat, cubic])
    assert joined == Topology(3, 1, (8, 16), (1, 1), ((1, 1, 1), (2, 2, 1)))
    assert join_topologies([flat, flat]) == flat


@pytest.mark.parametrize("sharing", ["hard", "ctan", "nddr", "mmoe"])
def test_parameters_drop_in_the_prediction_as_in_the_network(sharing: str) -> None:
    sizes = {"scan": (32, 32, 32), "pet": (32, 32, 32)}
    counted, built = [], []
    for settings in ([SHARED], []):
        plan, head = plan_of(sizes, "images.scan.kernels=null", *settings, f"model.sharing={sharing}")
        counted.append(predict_step_memory(plan, head).model / 20)
        fold = plan.folds[0]
        network = make_network(make_network_spec(plan, fold, head), make_tasks(fold), 0)
        parts = ("blocks.", "stems.", "voxels.decoders.")
        weights = [p for n, p in network.named_parameters() if n.startswith(parts) and p.dim() > 1]
        built.append(sum(p.numel() for p in weights))
        assert counted[-1] == pytest.approx(built[-1], rel=0.02)
        assert count_parameters(network) > built[-1]
    assert counted[0] < 0.85 * counted[1]


def test_a_preset_keeps_the_trunk_that_sizes_were_planned_for() -> None:
    plan, head = plan_of(SIZES, SHARED)
    assert apply_preset(plan, "ctan", head).shared.model.trunk == "shared"
    costs = compare_presets(plan, head)
    assert 1 < costs["ctan_light"].memory < costs["ctan"].memory


def test_a_plan_without_it_keeps_its_hash() -> None:
    plan, _ = plan_of({"scan": (32, 32, 32), "pet": (32, 32, 32)}, "images.scan.kernels=null")
    content = plan.model_dump(mode="json")
    del content["shared"]["model"]["trunk"]
    assert plan_hash(Plan.model_validate(content), 0) == plan_hash(plan, 0)
    assert plan_hash(plan_of({"scan": (32, 32, 32), "pet": (32, 32, 32)}, SHARED)[0], 0) != plan_hash(plan, 0)


@pytest.mark.parametrize(
    ("sizes", "settings", "words"),
    [
        (
            {"scan": (32, 32, 32), "photo": (64, 64)},
            [],
            "'scan' is read in 3D and 'photo' in 2D; set it to null",
        ),
        ({"scan": (32, 32, 32)}, [], "model.trunk: 'shared' needs two image inputs, and the plan has 1"),
        (
            SIZES,
            ["images.scan.strides=[[1,1,1],[2,2,1],[2,2,1],[2,2,2],[2,2,2]]"],
            r"--set images.scan.strides=.*: with model.trunk=shared the other image inputs need the same strides",
        ),
        (SIZES, ["images.scan.trunk=slices"], "is read in|needs the same"),
    ],
)
def test_what_one_encoder_cannot_read_is_refused_in_one_line(
    sizes: dict[str, tuple[int, ...]], settings: list[str], words: str
) -> None:
    with pytest.raises(PolytaskError, match=words) as caught:
        plan_of(sizes, SHARED, *settings)
    assert "\n" not in str(caught.value)


def test_a_plan_with_other_topologies_says_how_to_plan_for_it() -> None:
    with pytest.raises(
        PolytaskError, match=r"'scan' and 'pet' differ; `polytask plan --set model.trunk=shared`"
    ):
        set_value(plan_of()[0], SHARED)
