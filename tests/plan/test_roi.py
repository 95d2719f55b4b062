"""Crops for small findings: when the plan asks for them, and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from polytask.errors import PolytaskError
from polytask.plan.fingerprint_records import Fingerprint
from polytask.plan.machine import GIB
from polytask.plan.plan_schema import ImagePlan, Plan
from polytask.plan.plan_settings import set_value, set_values
from polytask.plan.planner import make_plan
from polytask.plan.roi_plan import RoiPlan, compute_crop_size
from polytask.plan.rules.roi_rules import measure_pixel
from tests.plan.worlds import LAPTOP, cohort_of, graded, header, image_record, one_fold, prints
from tests.prepare.worlds import image_plan

GRADE = {"grade": {"kind": "ordinal", "order": ["G1", "G2", "G3"]}}
MASKS = {"tumour": {"kind": "segmentation", "image": "scan", "labels": {"tumour": 1}}}


def plan_of(
    edge: float, tasks: dict[str, Any] = MASKS | GRADE, size: int = 192, machine: Any = LAPTOP
) -> Plan:
    """Twelve subjects with images of `size`³ voxels of 1 mm, and findings whose box has this edge in mm."""
    cohort = cohort_of(header(tasks=tasks), graded(12))
    made = prints([(size,) * 3] * 12)
    cases = {
        key: case.model_copy(
            update={
                "voxels": {
                    task: record.model_copy(update={"sizes": dict.fromkeys(record.sizes, (edge,) * 3)})
                    for task, record in case.voxels.items()
                }
            }
        )
        for key, case in made.cases.items()
    }
    return make_plan(cohort, Fingerprint(cases=cases), one_fold(cohort), machine=machine)


def scan(plan: Plan) -> ImagePlan:
    return plan.shared.images["scan"]


def test_findings_too_small_for_the_view_are_read_in_crops() -> None:
    plan = plan_of(6)
    image, why = scan(plan), plan.shared.why["images.scan.roi"]
    assert image.roi is not None
    assert image.view_spacing is not None
    assert image.roi.task == "tumour"
    assert image.roi.count == 2
    assert image.roi.places == 8
    assert f"median edge of {6 / image.view_spacing[0]:.2g} voxels in the whole view" in why
    assert f"{image.roi.count} crops" in why
    total = [n // 4 for n in compute_crop_size(image)]
    assert all(n % t == 0 for n, t in zip(scan(plan).patch or (), total, strict=True))


@pytest.mark.parametrize(
    ("edge", "tasks", "size", "reason"),
    [
        (60, MASKS | GRADE, 192, "none: the findings of tumour have a median edge of"),
        (6, MASKS | GRADE, 64, "none: visit and subject tasks see the image as finely as it is stored"),
        (6, MASKS, 192, "none: no visit or subject task reads this image"),
        (6, GRADE, 192, "none: visit and subject tasks see the image as finely as it is stored"),
    ],
)
def test_without_small_findings_there_are_no_crops(
    edge: float, tasks: dict[str, Any], size: int, reason: str
) -> None:
    plan = plan_of(edge, tasks, size)
    assert scan(plan).roi is None
    assert plan.shared.why["images.scan.roi"].startswith(reason)


def test_crops_that_do_not_fit_into_memory_are_left_out() -> None:
    tight = plan_of(6, machine=replace(LAPTOP, memory=GIB // 4))
    if scan(tight).field == "both":
        assert scan(tight).roi is None
        assert "do not fit into memory" in tight.shared.why["images.scan.roi"]


def test_a_plan_from_before_has_no_crops() -> None:
    content = plan_of(60).model_dump(mode="json")
    del content["shared"]["images"]["scan"]["roi"]
    assert scan(Plan.parse(content, "plan.yaml")).roi is None


def test_crops_can_be_asked_for() -> None:
    plan = set_value(plan_of(60), "images.scan.roi={attention: 8}")
    assert scan(plan).roi == RoiPlan(attention=8)
    assert "set by hand" in plan.shared.why["images.scan.roi"]
    assert scan(set_value(plan_of(6), "images.scan.roi=null")).roi is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["images.scan.roi={}"], "names none; expected exactly one of attention, task, column"),
        (["images.scan.roi={attention: 4, task: tumour}"], "names attention and task"),
        (["images.scan.roi={attention: 0}"], "expected 1 to 1024"),
        (["images.scan.roi={attention: 4, crops: 2}"], "attention already says how many"),
        (["images.scan.roi={attention: 4, places: 3}"], "3 places; expected at least 4"),
        (["images.scan.roi={task: tumor}"], "'tumor' is not a task"),
        (["images.scan.roi={task: grade}"], "'grade' has no masks"),
        (["images.scan.roi={attention: 8, size: [9, 9, 9]}"], "multiples of the total stride"),
        (["images.scan.roi={atention: 8}"], "unknown name, did you mean .attention."),
        (["images.scan.roi=yes"], "roi"),
    ],
)
def test_crops_that_cannot_be_are_refused_in_one_line(changes: Sequence[str], words: str) -> None:
    with pytest.raises(PolytaskError, match=words) as caught:
        set_values(plan_of(60), changes)
    assert "\n" not in str(caught.value)


def test_an_image_seen_whole_has_nothing_finer_to_crop() -> None:
    with pytest.raises(PolytaskError, match="field whole keeps no image that is finer than the view"):
        set_value(plan_of(6, size=64), "images.scan.roi={attention: 8}")


def test_findings_of_a_resized_photo_are_measured_in_its_new_pixels() -> None:
    """Of a photo twice as large as the size that all are brought to, one pixel of the plan is two of the file."""
    image = image_plan(dims=2, unit="px", resize=(1500, 1000), spacing=(1.0, 1.0))
    assert measure_pixel(image_record((3000, 2000)), image) == (2.0, 2.0)
    assert measure_pixel(image_record((750, 400)), image) == (0.5, 0.5)
    assert measure_pixel(image_record((750, 400)), image.model_copy(update={"resize": None})) == (1.0, 1.0)
    assert measure_pixel(image_record((9, 9), (0.2, 0.2)), image.model_copy(update={"unit": "mm"})) == (
        1.0,
        1.0,
    )
