"""Orientation, crop and spacing from headers and boxes."""

from __future__ import annotations

import pytest

from polytask.cohort.header import ImageInput
from polytask.kinds.plan_reasons import PlanReasons
from polytask.plan.fingerprint_records import ImageRecord
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
    assert set(why.reasons) == {"orientation", "crop", "unit", "resize", "spacing"}


def bare_pictures(*shapes: tuple[int, int]) -> list[ImageRecord]:
    """Photos whose files do not say how large a pixel is."""
    return [image_record(s, orientation="PL").model_copy(update={"physical": False}) for s in shapes]


def test_pictures_without_a_scale_are_brought_to_the_median_size() -> None:
    """One huge photo neither shrinks the others nor is it larger than they are; a portrait keeps its aspect."""
    records = bare_pictures(*[(450, 600)] * 4, (1200, 1600), (600, 450), (450, 300))
    found = plan_geometry(FLAT, records, why := PlanReasons())
    assert (found.resize, found.spacing, found.unit) == ((450, 600), (1.0, 1.0), "px")
    assert found.sizes[:4] == ((450, 600),) * 4
    assert found.sizes[4:] == ((450, 600), (450, 338), (450, 300))
    assert "450×600 4" in why.reasons["resize"]


def test_only_pictures_without_a_scale_are_resized() -> None:
    measured = [image_record((300, 200), (0.1, 0.1), orientation="PL")] * 3
    assert plan_geometry(FLAT, measured, why := PlanReasons()).resize is None
    assert "how large a pixel is" in why.reasons["resize"]


def bare_stacks(*shapes: tuple[int, int, int]) -> list[ImageRecord]:
    """Stacks whose files do not say how large a pixel is or how thick a slice; a fifth of each axis is empty."""
    body = [tuple(n * 4 // 5 for n in shape) for shape in shapes]
    records = [image_record(shape, body=inner) for shape, inner in zip(shapes, body, strict=True)]
    return [record.model_copy(update={"physical": False}) for record in records]


def test_stacks_of_the_same_proportions_are_brought_to_one_size() -> None:
    """What the crop leaves is scaled as the file is: how much of it is empty says nothing about its pixels."""
    records = bare_stacks(*[(50, 40, 20)] * 4, (100, 80, 40), (25, 20, 11))
    found = plan_geometry(MR, records, why := PlanReasons())
    assert (found.resize, found.spacing, found.unit) == ((50, 40, 20), (1.0, 1.0, 1.0), "px")
    assert found.crop.rule == "nonzero"
    assert found.sizes == ((40, 32, 16),) * 5 + ((37, 30, 15),)
    assert "all stacks have the same proportions" in why.reasons["resize"]
    assert "50×40×20 4" in why.reasons["resize"]


def test_stacks_of_different_proportions_keep_their_voxels() -> None:
    """More slices may be thinner slices, or more of the patient."""
    records = bare_stacks((50, 40, 20), (50, 40, 20), (100, 80, 25))
    found = plan_geometry(MR, records, why := PlanReasons())
    assert found.resize is None
    assert found.sizes[2] == (80, 64, 20)
    assert "stacks of different proportions" in why.reasons["resize"]
    assert "50×40×20 2, 100×80×25 1" in why.reasons["resize"]


@pytest.mark.parametrize(
    ("lengths", "held"),
    [
        ([24] * 31 + [80] * 3, 24),
        ([24] * 30 + [80] * 4, 80),
        ([24] * 33 + [30], 30),
        ([24] * 33 + [31], 24),
        ([24] * 8 + [80], 80),
        ([24] * 9 + [80], 24),
    ],
)
def test_few_long_cases_do_not_set_the_view(lengths: list[int], held: int) -> None:
    """The smallest length that holds 90 % of the cases: of 34 at least 31; a case up to 1.25 times as long fits too."""
    records = [image_record((96, 96, n), (2.0, 2.0, 5.0)) for n in lengths]
    found = plan_geometry(MR, records, PlanReasons())
    assert found.find_view_size() == (96, 96, held)
    words = found.describe_view_size()
    if held == max(lengths):
        assert words == f"the largest case, 96×96×{held} voxels"
    else:
        longer = sum(n > held for n in lengths)
        assert f"{longer} of {len(lengths)} are longer, up to 96×96×{max(lengths)}" in words
        assert "at least 90 %" in words
