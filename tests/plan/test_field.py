"""Whole, patch or both: what a step can see within its budget."""

from __future__ import annotations

from math import prod

import pytest

from polytask.errors import PolytaskError
from polytask.plan.machine import GIB, Machine
from polytask.plan.plan_schema import ImagePlan, Plan
from polytask.plan.plan_summary import list_summary_rows
from polytask.plan.planner import make_plan
from polytask.plan.rules import field_of_view
from polytask.plan.rules.field_of_view import MAX_PICTURE_STEP
from tests.plan.worlds import LAPTOP, SERVER, cohort_of, graded, header, one_fold, prints, seen_at_visits

PLAIN = {"grade": {"kind": "ordinal", "order": ["G1", "G2", "G3"]}}
MASKS = {"tumour": {"kind": "segmentation", "image": "scan", "labels": {"tumour": 1}}}


def plan_of(
    size: tuple[int, ...], tasks: dict[str, object], machine: Machine = LAPTOP, **parts: object
) -> Plan:
    """Twelve subjects with images of one size."""
    head = header(tasks=tasks, **parts)
    cohort = cohort_of(head, graded(12))
    return make_plan(cohort, prints([size] * 12), one_fold(cohort), machine=machine)


def scan(plan: Plan) -> ImagePlan:
    """The only image."""
    return plan.shared.images["scan"]


def test_a_large_image_with_a_mask_and_a_grade_is_seen_twice() -> None:
    plan = plan_of((192, 192, 192), MASKS | PLAIN)
    image = scan(plan)
    assert image.field == "both"
    assert image.spacing == (1.0, 1.0, 1.0), "voxel tasks at full spacing"
    assert image.view is not None
    assert image.view_spacing is not None
    assert image.patch is not None
    assert all(64 <= v <= 96 for v in image.view)
    assert all(64 <= p <= 96 for p in image.patch)
    assert all(v * s >= 192 - 1 for v, s in zip(image.view, image.view_spacing, strict=True)), (
        "all of it is in view"
    )
    assert image.patches == 2
    assert image.foreground > 0
    assert plan.shared.training.batch == 2
    assert "visit and subject tasks need the whole" in plan.shared.why["images.scan.field"]


@pytest.mark.parametrize(
    ("size", "tasks", "field"),
    [
        ((48, 48, 48), MASKS | PLAIN, "whole"),
        ((64, 64, 64), MASKS | PLAIN, "whole"),
        ((96, 96, 96), MASKS | PLAIN, "whole"),
        ((128, 128, 128), MASKS | PLAIN, "both"),
        ((192, 192, 192), MASKS, "patch"),
        ((192, 192, 192), PLAIN, "whole"),
    ],
)
def test_field(size: tuple[int, ...], tasks: dict[str, object], field: str) -> None:
    assert scan(plan_of(size, tasks)).field == field


def test_without_voxel_tasks_the_whole_becomes_coarser() -> None:
    image = scan(plan_of((256, 256, 256), PLAIN))
    assert image.spacing == image.view_spacing
    assert image.spacing[0] > 2
    assert image.view is not None
    assert all(v * image.spacing[0] >= 255 for v in image.view)
    assert image.patch is None


def test_patches_alone_are_larger_than_beside_a_view() -> None:
    alone, beside = scan(plan_of((192,) * 3, MASKS)), scan(plan_of((192,) * 3, MASKS | PLAIN))
    assert alone.view is None
    assert alone.patch is not None
    assert beside.patch is not None
    assert prod(alone.patch) > prod(beside.patch)


def test_a_patch_has_equal_edges_in_mm_within_a_thin_image() -> None:
    cohort = cohort_of(header(tasks=MASKS), graded(12))
    found = prints([(512, 512, 60)] * 12, [(0.7, 0.7, 5.0)] * 12)
    image = scan(make_plan(cohort, found, one_fold(cohort), machine=LAPTOP))
    assert image.patch is not None
    edges = [n * s for n, s in zip(image.patch, image.spacing, strict=True)]
    assert max(edges) < 1.3 * min(edges)
    assert (1, 1) != image.strides[1][:2] == (2, 2)
    assert image.strides[1][2] == 1, "the coarse axis waits"
    assert image.kernels is not None
    assert image.kernels[0] == (3, 3, 1)
    assert image.kernels[-1] == (3, 3, 3)
    plan = make_plan(cohort, found, one_fold(cohort), machine=LAPTOP)
    flat = sum(kernel[2] == 1 for kernel in image.kernels)
    assert f"1 along axis 2 in the first {flat} stages" in plan.shared.why["images.scan.kernels"]
    assert "scan: kernels" in {row.what for row in list_summary_rows(plan)}


def test_the_largest_case_fits_the_view() -> None:
    cohort = cohort_of(header(tasks=MASKS | PLAIN), graded(12))
    sizes = [(40, 40, 40)] * 11 + [(50, 44, 40)]
    image = scan(make_plan(cohort, prints(sizes), one_fold(cohort), machine=LAPTOP))
    assert image.view == (56, 48, 40)


def test_memory_narrows_what_is_seen() -> None:
    little = Machine(cores=64, memory=2 * GIB, precision="float32", gain=1.0)
    much = Machine(cores=64, memory=512 * GIB, precision="float32", gain=1.0)
    assert scan(plan_of((160,) * 3, MASKS | PLAIN, little)).field == "both"
    assert scan(plan_of((160,) * 3, MASKS | PLAIN, much)).field == "whole"


def test_a_gpu_sees_more() -> None:
    image = scan(plan_of((128, 128, 128), MASKS | PLAIN, SERVER))
    assert image.field == "whole"
    assert image.widths[0] == 32
    assert image.blocks[1] == 2


def test_several_visits_share_the_budget() -> None:
    cohort, found = seen_at_visits(["a", "b"], (112, 112, 112), MASKS)
    plan = make_plan(cohort, found, one_fold(cohort), machine=LAPTOP)
    assert plan.shared.max_visits == 2
    assert scan(plan).field == "both"
    assert scan(plan_of((112, 112, 112), MASKS | PLAIN)).field == "whole", "one visit of the same size fits"


def test_an_input_without_an_image_is_named() -> None:
    cohort = cohort_of(header(), graded(12))
    empty = prints([(24, 24, 24)] * 12)
    bare = type(empty)(cases={k: c.model_copy(update={"images": {}}) for k, c in empty.cases.items()})
    with pytest.raises(PolytaskError, match="input scan has no image outside the test part"):
        make_plan(cohort, bare, one_fold(cohort), machine=LAPTOP)


def test_three_long_cases_of_34_do_not_coarsen_the_others() -> None:
    """Brain MR of 24 slices, three of 80: the view is the one of a cohort without them, and says so."""
    cohort, usual = cohort_of(header(tasks=PLAIN), graded(34)), [(192, 192, 24)]
    plans = [
        make_plan(cohort, prints(usual * (34 - n) + [(192, 192, 80)] * n), one_fold(cohort), machine=LAPTOP)
        for n in (0, 3)
    ]
    without, with_them = map(scan, plans)
    assert (with_them.spacing, with_them.view) == (without.spacing, without.view)
    assert "3 of 34 are longer, up to 192×192×80" in plans[1].shared.why["images.scan.view"]
    assert "windows" in plans[1].shared.why["images.scan.field"]


def pictures(edge: int, tasks: dict[str, object]) -> tuple[Plan, ImagePlan]:
    """Twelve square photos without a physical scale, and one of ten times the edge."""
    scale = {"scan": {"kind": "image", "dims": 2, "channels": {"ct": "other"}}}
    cohort = cohort_of(header(inputs=scale, tasks=tasks), graded(13))
    found = prints([(edge, edge)] * 12 + [(10 * edge, 10 * edge)])
    bare = {
        key: case.model_copy(
            update={"images": {"scan": case.images["scan"].model_copy(update={"physical": False})}}
        )
        for key, case in found.cases.items()
    }
    plan = make_plan(cohort, type(found)(cases=bare), one_fold(cohort), machine=LAPTOP)
    return plan, scan(plan)


def test_a_photo_is_resized_to_the_view() -> None:
    """Also with a mask task, as long as its edges shrink at most by two; the huge photo changes nothing."""
    plan, image = pictures(256, MASKS | PLAIN)
    assert (image.field, image.resize, image.spacing, image.view) == (
        "whole",
        (256, 256),
        (1.0, 1.0),
        (256, 256),
    )
    assert "256×256 12" in plan.shared.why["images.scan.resize"]
    assert "scan: scaled to" in {row.what for row in list_summary_rows(plan)}
    plan, image = pictures(500, MASKS | PLAIN)
    assert (image.field, image.resize) == ("whole", (500, 500))
    assert 1 < image.spacing[0] <= 2
    assert "resized to the view" in plan.shared.why["images.scan.field"]
    plan, image = pictures(1500, MASKS | PLAIN)
    assert image.field == "both", "small structures would be lost"
    assert image.view_spacing is not None
    assert max(image.view_spacing) > MAX_PICTURE_STEP
    assert "beyond 2 times voxel tasks lose small structures" in plan.shared.why["images.scan.field"]
    assert pictures(1500, PLAIN)[1].field == "whole"


def test_a_whole_image_that_fits_costs_no_search_for_a_coarser_one(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[int, ...]] = []
    search = field_of_view.find_finest_view
    monkeypatch.setattr(
        field_of_view, "find_finest_view", lambda full, *rest: tried.append(full) or search(full, *rest)
    )
    assert scan(plan_of((64, 64, 64), MASKS | PLAIN)).field == "whole"
    assert not tried
    assert scan(plan_of((192, 192, 192), PLAIN)).field == "whole"
    assert tried
