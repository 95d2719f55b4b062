"""A plan that counts pixels takes every file so, also one that says millimeters; answers keep the file's own scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from polytask.cohort import header
from polytask.images.file_axes import RASTER_AFFINE
from polytask.images.geometry import orient_to_ras, resample_volume
from polytask.images.volume import Grid, Volume
from polytask.predict.image_checks import find_scale_problem
from polytask.predict.source_grid import restore_probabilities, restore_to_source_grid
from polytask.prepare import recipe
from polytask.prepare.prepared_image import PreparedImage, prepare_image
from polytask.prepare.target_frame import TargetFrame
from tests.prepare.worlds import affine, image_plan, make_plan, write_cohort

SHAPE = (10, 8, 6)
PLAN = image_plan(channels={"ct": "CT"}, unit="px", spacing=(1.0, 1.0, 1.0), channel_flags=False)
SOURCE = Grid(SHAPE, affine((0.5, 0.75, 2.0)))


def prepared() -> tuple[Volume, PreparedImage]:
    values = np.random.default_rng(0).integers(0, 99, (1, *SHAPE)).astype(np.int16)
    volume = Volume(values, SOURCE)
    return volume, prepare_image({"ct": volume}, PLAN)


def test_a_file_in_millimeters_is_not_resampled_to_pixels() -> None:
    volume, image = prepared()
    assert (image.grid.spacing, image.grid.physical) == ((1, 1, 1), False)
    assert np.array_equal(image.image, orient_to_ras(volume).array)
    assert image.source_grid is SOURCE


@pytest.mark.parametrize("align", ["strict", "resample"])
def test_masks_go_the_way_of_their_image(align: Any) -> None:
    volume, image = prepared()
    frame = TargetFrame(image, True, align, "case")
    bare = Volume(volume.array, Grid(SHAPE, RASTER_AFFINE, physical=False))
    for mask in (volume, bare):
        assert np.array_equal(frame.bring_to_grid(mask, 0), orient_to_ras(volume).array)


def test_a_mask_on_another_grid_is_brought_by_its_place() -> None:
    _, image = prepared()
    coarse = SOURCE.affine @ np.diag([2, 2, 2, 1.0])
    mask = Volume(
        np.random.default_rng(1).integers(0, 4, (1, 5, 4, 3)).astype(np.uint8), Grid((5, 4, 3), coarse)
    )
    wanted = orient_to_ras(resample_volume(mask, SOURCE, 0)).array
    assert np.array_equal(TargetFrame(image, True, "resample", "case").bring_to_grid(mask, 0), wanted)


def test_answers_come_back_on_the_files_own_grid() -> None:
    volume, image = prepared()
    dose = header.DoseSpec(kind="dose", image="scan")
    found = restore_to_source_grid(
        dose, {"value": torch.from_numpy(image.image.astype(np.float32))}, image.grid, SOURCE
    )
    assert np.allclose(found.array, volume.array)
    assert found.grid is SOURCE
    p = torch.from_numpy(np.stack([image.image[0] < 50, image.image[0] >= 50]).astype(np.float32))[None]
    for labels, structures in (({"a": 1}, None), (None, ["below", "above"])):
        task = header.SegmentationSpec(
            kind="segmentation", image="scan", labels=labels, structures=structures
        )
        mask = restore_to_source_grid(task, {"p": p}, image.grid, SOURCE)
        assert np.array_equal(mask.array[-1], volume.array[0] >= 50)
        assert mask.grid is SOURCE
        chances = restore_probabilities(task, {"p": p}, image.grid, SOURCE)
        assert np.allclose(chances.array[1], volume.array[0] >= 50)
        assert chances.grid is SOURCE


def test_a_voxel_is_as_far_from_training_as_its_pixels() -> None:
    plan = PLAN.model_copy(update={"field": "patch"})
    assert find_scale_problem(Grid(SHAPE, np.diag([0.01, 0.01, 0.01, 1])), plan) is None
    millimeters = plan.model_copy(update={"unit": "mm"})
    assert find_scale_problem(Grid(SHAPE, np.diag([0.01, 0.01, 0.01, 1])), millimeters) is not None


def test_a_picture_that_is_scaled_to_one_size_may_have_any() -> None:
    whole = {"view": (40, 30), "view_spacing": (1.0, 1.0), "spacing": (1.0, 1.0)}
    plan = PLAN.model_copy(update=whole)
    huge = Grid((4000, 3000), np.eye(4), physical=False)
    assert find_scale_problem(huge, plan) is not None
    assert find_scale_problem(huge, plan.model_copy(update={"resize": (40, 30)})) is None


def test_a_stack_that_is_scaled_needs_the_proportions_of_training() -> None:
    """In the order of the axes that the plan has: a TIFF counts rows first, the plan counts from left to right."""
    sizes = {"view": (24, 16, 12), "view_spacing": (1.0,) * 3, "spacing": (1.0,) * 3, "resize": (24, 16, 12)}
    plan = PLAN.model_copy(update={"dims": 3, "orientation": "RAS", **sizes})
    alike, longer = (Grid((32, 48, n), RASTER_AFFINE, physical=False) for n in (24, 60))
    assert find_scale_problem(alike, plan) is None
    said = find_scale_problem(longer, plan)
    assert said is not None
    assert "48×32×60 voxels, the model was trained on stacks with the proportions of 24×16×12" in said


def test_only_a_size_that_is_used_decides_what_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stores of plans without `resize` are kept; another size makes their cases again."""
    monkeypatch.setattr(recipe, "digest_plain_data", lambda data: data)
    cohort = write_cohort(tmp_path)
    for size, stored in ((None, {}), ((40, 30), {"resize": [40, 30]})):
        plan = make_plan(cohort, image_plan(resize=size))
        content: Any = recipe.digest_stored_geometry(cohort.header, plan)
        assert {k: v for k, v in content[1]["scan"].items() if k == "resize"} == stored
