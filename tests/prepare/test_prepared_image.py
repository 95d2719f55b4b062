import numpy as np
import pytest

from polytask.errors import PolytaskError
from polytask.images.volume import Grid, Volume
from polytask.plan.plan_schema import CropPlan
from polytask.prepare.crop_boxes import parse_box_cell, transfer_box
from polytask.prepare.prepared_image import PreparedImage, prepare_image
from tests.prepare.worlds import affine, image_plan

SHAPE = (10, 8, 6)


def ramp(kind: type = np.int16) -> Volume:
    """Every voxel a different number."""
    return Volume(np.arange(np.prod(SHAPE)).reshape(1, *SHAPE).astype(kind), Grid(SHAPE, affine()))


def at_world(prepared: PreparedImage, source: Volume, index: tuple[int, int, int]) -> tuple[float, float]:
    """The same world point in the source and in the prepared image."""
    world = source.grid.affine @ np.array([*index, 1.0])
    there = np.rint(np.linalg.inv(prepared.grid.affine) @ world).astype(int)[:3]
    return float(source.array[(0, *index)]), float(prepared.image[(0, *there)])


def test_voxels_keep_their_world_place_when_oriented() -> None:
    source = ramp()
    prepared = prepare_image({"ct": source}, image_plan())
    assert (np.diag(prepared.grid.affine)[:3] > 0).all()
    for index in [(0, 0, 0), (9, 7, 5), (3, 1, 4)]:
        there, here = at_world(prepared, source, index)
        assert there == here
    assert prepared.source_grid.is_same_grid(source.grid)


def test_orientation_none_keeps_the_axes() -> None:
    prepared = prepare_image({"ct": ramp()}, image_plan(orientation="none"))
    assert np.array_equal(prepared.image[0], ramp().array[0])


def test_a_missing_channel_is_zeros_and_not_known() -> None:
    prepared = prepare_image({"ct": None, "fl": ramp(np.float32)}, image_plan())
    assert prepared.channel_known == (False, True)
    assert not prepared.image[0].any()
    assert prepared.image[1].any()


def test_no_channel_at_all_is_refused() -> None:
    with pytest.raises(PolytaskError, match="no channel of ct, fl"):
        prepare_image({"ct": None}, image_plan())


@pytest.mark.parametrize(
    ("kind", "stored"),
    [(np.int16, np.int16), (np.uint8, np.uint8), (np.int32, np.int16), (np.float64, np.float32)],
)
def test_whole_numbers_stay_whole_numbers(kind: type, stored: type) -> None:
    source = Volume((ramp().array % 200).astype(kind), ramp().grid)
    plan = image_plan(spacing=(1.5, 1.5, 1.5))
    assert prepare_image({"ct": source}, plan).image.dtype == stored


def test_resampling_rounds_instead_of_cutting() -> None:
    edge = np.zeros((1, *SHAPE), np.int16)
    edge[0, 5:] = 3
    prepared = prepare_image({"ct": Volume(edge, ramp().grid)}, image_plan(spacing=(0.5, 1.5, 2.0)))
    assert set(np.unique(prepared.image[0])) == {0, 1, 2, 3}


def test_both_stores_a_second_array_of_the_same_field_of_view() -> None:
    plan = image_plan(field="both", view_spacing=(2.0, 3.0, 4.0), patch=(8, 8, 8))
    prepared = prepare_image({"ct": ramp()}, plan)
    assert prepared.whole is not None
    assert prepared.whole_grid is not None
    assert prepared.whole.shape == (2, 5, 4, 3)
    centers = [
        g.affine @ np.array([*((np.array(g.shape) - 1) / 2), 1]) for g in (prepared.grid, prepared.whole_grid)
    ]
    assert np.allclose(*centers)


def test_strict_channels_of_different_size_are_refused() -> None:
    other = Volume(np.zeros((1, 4, 8, 6), np.int16), Grid((4, 8, 6), affine()))
    with pytest.raises(PolytaskError, match="4×8×6, but the first channel has 10×8×6"):
        prepare_image({"ct": ramp(), "fl": other}, image_plan(), where="subject 1, scan")


def test_resampled_channels_meet_in_the_world() -> None:
    source = ramp(np.float32)
    cut = Volume(source.array[:, 2:9], Grid((7, 8, 6), source.grid.affine @ shift(2)))
    prepared = prepare_image({"ct": source, "fl": cut}, image_plan(), align="resample")
    both = prepared.image[1] != 0
    assert both.sum() == 7 * 8 * 6
    assert np.allclose(prepared.image[0][both], prepared.image[1][both])


def shift(voxels: int) -> np.ndarray:
    matrix = np.eye(4)
    matrix[0, 3] = voxels
    return matrix


def test_nonzero_crop_with_margin() -> None:
    array = np.zeros((1, *SHAPE), np.int16)
    array[0, 4:6, 3:5, 2:4] = 1
    source = Volume(array, ramp().grid)
    prepared = prepare_image({"ct": source}, image_plan(crop=CropPlan(rule="nonzero", margin=1.5)))
    assert prepared.image.shape[1:] == (2 + 4, 2 + 2, 2 + 2)
    assert prepared.image.sum() == 8


def test_a_box_is_given_in_source_voxels() -> None:
    source = ramp()
    prepared = prepare_image(
        {"ct": source}, image_plan(crop=CropPlan(rule="box")), box=((1, 2, 3), (4, 6, 5))
    )
    inside = source.array[0, 1:4, 2:6, 3:5]
    assert sorted(prepared.image[0].ravel()) == sorted(inside.ravel())


def test_without_a_box_nothing_is_cut() -> None:
    prepared = prepare_image({"ct": ramp()}, image_plan(crop=CropPlan(rule="box")))
    assert prepared.image.shape[1:] == SHAPE


def test_nan_is_refused_with_its_place() -> None:
    bad = ramp(np.float32)
    bad.array[0, 1, 1, 1] = np.nan
    with pytest.raises(PolytaskError, match="subject 7, scan: some voxels are NaN"):
        prepare_image({"ct": bad}, image_plan(), where="subject 7, scan")


def test_statistics_are_those_of_the_stored_planes() -> None:
    array = np.zeros((1, *SHAPE), np.float32)
    array[0, :5] = 4.0
    array[0, :2] = 8.0
    prepared = prepare_image({"ct": Volume(array, ramp().grid)}, image_plan())
    found = prepared.statistics[0]
    assert found.mean == pytest.approx(array.mean())
    assert found.sd == pytest.approx(array.std())
    assert found.nonzero_mean == pytest.approx(array[array != 0].mean())
    assert found.nonzero_sd == pytest.approx(array[array != 0].std())


def test_box_cells(tmp_path) -> None:
    from polytask.images.formats import write_image_file

    grid = ramp().grid
    assert parse_box_cell("1 4 2 6 3 5", tmp_path / "no", grid, "x") == ((1, 2, 3), (4, 6, 5))
    mask = np.zeros((1, *SHAPE), np.uint8)
    mask[0, 1:4, 2:6, 3:5] = 1
    write_image_file(tmp_path / "box.nii.gz", Volume(mask, grid))
    assert parse_box_cell("box.nii.gz", tmp_path / "box.nii.gz", grid, "x") == ((1, 2, 3), (4, 6, 5))
    with pytest.raises(PolytaskError, match="neither 6 whole numbers nor a mask file"):
        parse_box_cell("1 2 3", tmp_path / "no", grid, "x")


def test_a_box_moves_through_a_flip() -> None:
    flipped = affine() @ np.diag([-1.0, 1, 1, 1])
    flipped[:3, 3] = affine()[:3, 3] + affine()[:3, 0] * (SHAPE[0] - 1)
    there = transfer_box(((1, 2, 3), (4, 6, 5)), ramp().grid, Grid(SHAPE, flipped))
    assert there == ((6, 2, 3), (9, 6, 5))


@pytest.mark.parametrize(
    ("shape", "stored", "whole"),
    [
        ((45, 60), (45, 60), (23, 30)),
        ((120, 160), (45, 60), (23, 30)),
        ((60, 45), (45, 34), (23, 17)),
        ((9, 30), (18, 60), (9, 30)),
    ],
)
def test_a_picture_without_a_scale_is_brought_to_the_size_of_the_plan(
    shape: tuple[int, int], stored: tuple[int, int], whole: tuple[int, int]
) -> None:
    """It just fits 45×60, its aspect kept, and the stored grid lies over the pixels of the file."""
    array = np.linspace(0, 200, shape[0])[:, None] + np.zeros(shape)
    grid = Grid(shape, np.eye(4), physical=False)
    image = {
        "dims": 2,
        "channels": {"g": "other"},
        "orientation": "none",
        "unit": "px",
        "spacing": (1.0, 1.0),
    }
    views = {
        "field": "both",
        "view": (23, 30),
        "view_spacing": (2.0, 2.0),
        "patch": (8, 8),
        "strides": ((1, 1),),
    }
    plan = image_plan(**image, **views, resize=(45, 60))
    prepared = prepare_image({"g": Volume(array[None].astype(np.uint8), grid)}, plan)
    assert prepared.image.shape == (1, *stored)
    assert prepared.whole is not None
    assert prepared.whole.shape == (1, *whole)
    step = max(shape[0] / 45, shape[1] / 60)
    assert prepared.grid.spacing == pytest.approx((step, step))
    ends = prepared.grid.affine @ np.array([[0, stored[0] - 1], [0, stored[1] - 1], [0, 0], [1, 1]])
    assert np.abs(ends[:2].mean(1) - (np.array(shape) - 1) / 2).max() < 1e-6, "around the same center"
    old = prepare_image(
        {"g": Volume(array[None].astype(np.uint8), grid)}, plan.model_copy(update={"resize": None})
    )
    assert old.image.shape == (1, *shape), "plans without the value keep the pixels of the file"
