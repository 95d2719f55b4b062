"""Orientation, crop and spacing from headers and boxes."""

from __future__ import annotations

import pytest

from polytask.cohort.header import ImageInput
from polytask.kinds.plan_reasons import PlanReasons
from polytask.plan.plan_schema import CropPlan
from polytask.plan.rules.image_geometry import compute_cropped_size, plan_geometry
from tests.plan.worlds import image_record

CT = ImageInput(kind="image", channels={"ct": "CT"})
MR = ImageInput(kind="image", channels={"t1": "MR"})
FLAT = ImageInput(kind="image", dims=2, channels={"rgb": "RGB"})


def test_spacing_is_the_median() -> None:
    records = [image_record((40, 40, 40), (s, s, s)) for s in (0.8, 1.0, 1.4)]
    found = plan_geometry(CT, records, why := PlanReasons())
    assert found.spacing == (1.0, 1.0, 1.0)
    assert found.sizes == ((32, 32, 32), (40, 40, 40), (56, 56, 56))
    assert (found.find_largest_size(), found.find_median_size()) == ((56, 56, 56), (40, 40, 40))
    assert "0.8–1.4" in why.reasons["spacing"]


def test_coarse_axis_takes_the_tenth_percentile() -> None:
    records = [image_record((200, 200, 30), (0.7, 0.7, z)) for z in (2.0, 5.0, 5.0, 5.0, 6.0)]
    found = plan_geometry(CT, records, why := PlanReasons())
    assert found.spacing[:2] == (0.7, 0.7)
    assert found.spacing[2] == pytest.approx(3.2), "numpy's 10th percentile of 2 5 5 5 6"
    assert "10th percentile" in why.reasons["spacing"]
    even = [image_record((200, 200, 30), (2.0, 2.0, z)) for z in (2.0, 5.0, 5.0, 5.0, 6.0)]
    assert plan_geometry(CT, even, PlanReasons()).spacing == (2.0, 2.0, 5.0), "2.5 times is not that coarse"


@pytest.mark.parametrize(
    ("body", "rule"), [((40, 40, 40), "none"), ((38, 38, 40), "none"), ((30, 40, 40), "body")]
)
def test_crop_when_it_saves_enough(body: tuple[int, ...], rule: str) -> None:
    records = [image_record((40, 40, 40), (5.0, 5.0, 5.0), body=body)]
    found = plan_geometry(CT, records, why := PlanReasons())
    assert found.crop.rule == rule
    assert found.crop.margin == (5.0 if rule == "body" else 0.0)
    assert "voxels" in why.reasons["crop"]


def test_sizes_are_those_after_the_crop() -> None:
    records = [image_record((40, 40, 40), (2.0, 2.0, 2.0), body=(20, 30, 40))]
    found = plan_geometry(MR, records, PlanReasons())
    assert found.crop == CropPlan(rule="nonzero")
    assert found.sizes == ((20, 30, 40),)
    assert compute_cropped_size(records[0], CropPlan(rule="body", margin=5.0)) == (23, 33, 40)
    assert compute_cropped_size(records[0], CropPlan(rule="box", column="box")) == (40, 40, 40)


def test_flat_images_stay_as_they_are() -> None:
    found = plan_geometry(FLAT, [image_record((300, 200), orientation="PL")], why := PlanReasons())
    assert (found.orientation, found.crop.rule, found.spacing) == ("none", "none", (1.0, 1.0))
    assert set(why.reasons) == {"orientation", "crop", "unit", "spacing"}
