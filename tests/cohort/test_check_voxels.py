"""What `check` sees in voxels: empty, cut-off and odd masks, CT on other scales, files that say two places."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile
from PIL import Image

from polytask.cohort.check import check_cohort
from polytask.cohort.checks.mask_extent import NonIntegerMaskError, measure_extent
from polytask.cohort.checks.voxel_range import measure_voxel_range
from polytask.images.ct_scale import describe_odd_ct_scale
from tests.cohort.worlds import SHAPE, World, save

CT, MASK, ORGANS = "i/002_baseline_ct.nii.gz", "m/002_baseline.nii.gz", "o/002_baseline.nii.gz"


def labels(*lesion: tuple[slice, slice, slice]) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    for where in lesion:
        mask[where] = 1
    return mask


def test_an_empty_mask_is_asked_about_unless_the_table_says_what_was_drawn(world: World) -> None:
    save(world.folder / MASK, labels())
    problem = world.only("empty-mask")
    assert problem.level == "warning"
    assert "was it not drawn?" in problem.message
    assert (problem.file, problem.row, problem.subject) == (MASK, 4, "002")
    world.row("002")["tumour_known"] = "tumour;node"
    assert world.problems() == []


def test_an_empty_structure_of_a_file_with_planes(world: World) -> None:
    organs = np.zeros((2, *SHAPE), np.uint8)
    organs[0, :2] = 1
    save(world.folder / ORGANS, organs)
    problem = world.only("empty-structure")
    assert problem.message.startswith("organs.right is empty")
    assert "`organs_known`" in problem.remedy
    world.row("002")["organs_known"] = "left"
    assert world.problems() == [], "what is not known is not empty"


def test_a_mask_that_reaches_a_side_that_the_others_do_not(world: World) -> None:
    """The organs of the world touch their sides in every case: that is how they are."""
    mask = labels((slice(0, 2), slice(1, 3), slice(1, 2)))
    mask[4, 3, 2] = 2
    save(world.folder / MASK, mask)
    problem = world.only("mask-at-border")
    assert problem.message == "tumour touches the border of the image"
    assert problem.column == "tumour"


def test_a_stray_click_among_tumours_of_all_sizes() -> None:
    """Sizes from 3 to 400 ml, evenly on the logarithm, as tumours have them; one voxel of 8 mm³ lies alone."""
    from polytask.cohort.checks.structure_sizes import find_odd_sizes

    sizes = np.exp(np.linspace(1, 6, 99))
    assert not find_odd_sizes(sizes).any()
    assert np.flatnonzero(find_odd_sizes(np.append(sizes, 0.008))).tolist() == [99]
    kidneys = np.append(np.random.default_rng(0).normal(150, 30, 60), (2000, 80, 3, 5, 900))
    assert np.flatnonzero(find_odd_sizes(kidneys)).tolist() == [60, 62, 63, 64]


def test_a_mask_turned_inside_out(world: World) -> None:
    inverted = np.ones(SHAPE, np.uint8)
    inverted[1:3, 1:3, 1] = 0
    save(world.folder / MASK, inverted)
    assert {p.code for p in world.problems()} == {"inverted-mask", "odd-size"}


def test_a_structure_of_absurd_size(world: World) -> None:
    big = np.zeros(SHAPE, np.uint8)
    big[1:5, 1:4, 1:3], big[4, 3, 2] = 1, 2
    save(world.folder / MASK, big)
    problem = world.only("odd-size")
    assert problem.message == "tumour has 0.046 ml, the median of 24 masks is 0.008 ml"
    big[1:5, 1:4, 1:3] = 0
    big[1:3, 1:4, 1], big[4, 3, 2] = 1, 2
    save(world.folder / MASK, big)
    assert world.problems() == [], "half as large again is nothing odd"


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (lambda ct: ct + 1024, "ct-scale", "stored numbers without their offset"),
        (lambda ct: (ct + 900) / 1800, "ct-scale", "the CT was scaled"),
        (lambda ct: ((ct + 900) * 255 // 1800).astype(np.uint8), "ct-scale", "a picture of a CT window"),
        (lambda ct: np.where(ct == ct.max(), 32_743, ct), "ct-range", "to 32743"),
        (lambda ct: np.where(ct == ct.max(), -32_768, ct), "ct-range", "from -32768"),
        (lambda ct: np.clip(ct, -200, 200), "", ""),
    ],
)
def test_a_ct_that_is_not_in_hounsfield_units(world: World, make: object, code: str, words: str) -> None:
    ct = np.asarray(nib.load(world.folder / CT).dataobj).astype(np.int32)
    made = make(ct)  # type: ignore[operator]
    save(world.folder / CT, made.astype(np.float32 if made.dtype.kind == "f" else made.dtype))
    if not code:
        assert world.problems() == []
        return
    problem = world.only(code)
    assert words in problem.message
    world.header["inputs"]["scan"]["channels"]["ct"] = "other"
    assert world.problems() == [], "other images have no scale"


def test_the_scale_of_a_ct_by_its_range() -> None:
    assert (
        describe_odd_ct_scale(-1000, 3071)
        == describe_odd_ct_scale(-180, 250)
        == describe_odd_ct_scale(-15, 80)
        == ""
    )
    assert "scaled" in describe_odd_ct_scale(-2.1, 3)
    assert "the image is empty" in describe_odd_ct_scale(0, 0)


def test_sform_and_qform_that_disagree(world: World) -> None:
    image = nib.load(world.folder / CT)
    moved = image.affine.copy()
    moved[0, 3] += 7
    for code, expected in ((0, []), (1, ["two-places"])):
        image.set_qform(moved, code)
        nib.save(image, world.folder / CT)
        found = world.problems()
        assert [p.code for p in found] == expected
    assert "up to 7 mm apart; the sform is used" in found[0].message


def test_pictures_of_which_only_some_have_a_scale(world: World, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    header = {
        "polytask": 1,
        "name": "photos",
        "inputs": {"photo": {"kind": "image", "dims": 2, "channels": {"rgb": "other"}}},
        "tasks": {"grade": {"kind": "ordinal", "order": ["1", "2"]}},
    }
    photos = World(tmp_path, header)
    for k in range(8):
        name = f"{k}.nii.gz" if k == 3 else f"{k}.png"
        gray = rng.integers(0, 255, (8, 9)).astype(np.uint8)
        if k == 3:
            save(tmp_path / name, gray[..., None])
        else:
            Image.fromarray(gray).save(tmp_path / name)
        photos.rows.append({"subject": str(k), "photo.rgb": name, "grade": str(k % 2 + 1)})
    found = photos.problems()
    assert {p.code for p in found} == {"no-scale"}
    assert [p.subject for p in found] == ["0", "1", "2", "4", "5", "6", "7"]


@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "u2", "i4", "i8", "f4", "f8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_extent_of_a_mask_in_every_type(kind: str, order: str) -> None:
    mask = np.zeros((5, 6, 7), kind, order=order)  # type: ignore[call-overload]
    mask[0, 1:3, 2:4], mask[3, 3, 3] = 1, 0 if kind == "?" else 100
    found = measure_extent(mask)
    rest = {} if kind == "?" else {100: 1}
    assert dict(found.counts) == {0: 5 * 6 * 7 - 4 - len(rest), 1: 4, **rest}
    assert found.list_touched_faces(frozenset({1})) == {(0, 0)}
    assert found.corners == {0}


def test_values_far_apart_and_values_that_are_not_whole() -> None:
    assert dict(measure_extent(np.array([[-(2**40), 2**40], [0, 0]])).counts) == {-(2**40): 1, 0: 2, 2**40: 1}
    assert measure_extent(np.array([[-128, 127]], np.int8)).values == {-128, 127}
    for value in (0.5, np.nan, np.inf):
        with pytest.raises(NonIntegerMaskError):
            measure_extent(np.array([[0, value]]))


def test_a_range_is_the_same_however_the_voxels_lie_in_memory() -> None:
    array = np.random.default_rng(0).normal(0, 300, (2, 9, 8, 7)).astype(np.float32)
    one, other = measure_voxel_range(array), measure_voxel_range(np.asfortranarray(array))
    assert one == other
    assert one.low == array.min()
    assert one.high == array.max()
    assert np.allclose(one.inner, np.quantile(array, (0.005, 0.995)), rtol=0.2)
    assert measure_voxel_range(array[:, :, :, ::-1]).digest != one.digest
    array[0, 0, 0, 0] = np.nan
    assert not measure_voxel_range(array).finite
    assert measure_voxel_range(array).high == one.high


def test_a_volume_is_looked_at_without_a_second_one(tmp_path: Path) -> None:
    """Peak memory of looking at an int16 CT and its label map, by numpy's own accounting."""
    import tracemalloc

    from polytask.cohort.checks.image_facts import inspect_image

    shape = (160, 160, 200)
    save(tmp_path / "ct.nii", np.random.default_rng(0).integers(-900, 900, shape).astype(np.int16))
    save(tmp_path / "m.nii", np.zeros(shape, np.uint8))
    for name, role, size in (("ct.nii", "image", 2), ("m.nii", "mask", 1)):
        tracemalloc.start()
        assert not isinstance(inspect_image(tmp_path / name, role, 3), str)  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < size * np.prod(shape) + 32 * 2**20


def test_without_images_no_voxel_is_read(world: World) -> None:
    save(world.folder / MASK, labels())
    assert check_cohort(world.write(), images=False, folds=2) == []


def test_a_mask_without_a_scale_lies_on_a_stack_that_has_one(tmp_path: Path) -> None:
    """ImageJ wrote µm beside the stack and nothing beside its mask."""
    header = {
        "polytask": 1,
        "name": "cells",
        "inputs": {"stack": {"kind": "image", "channels": {"dapi": "other"}}},
        "tasks": {"cell": {"kind": "segmentation", "image": "stack", "labels": {"cell": 1}}},
    }
    world = World(tmp_path, header)
    notes = {"unit": "um", "spacing": 2.0, "axes": "ZYX"}
    for k in range(8):
        stack = np.random.default_rng(k).integers(0, 255, (5, 20, 22)).astype(np.uint8)
        mask = np.zeros_like(stack)
        mask[1:4, 5:9, 6:12] = 1
        tifffile.imwrite(tmp_path / f"{k}.tif", stack, imagej=True, resolution=(4, 4), metadata=notes)
        tifffile.imwrite(tmp_path / f"m{k}.tif", mask)
        world.rows.append({"subject": str(k), "stack.dapi": f"{k}.tif", "cell": f"m{k}.tif"})
    assert [p for p in world.problems() if p.level == "error"] == []


def test_a_drawn_channel_needs_no_scale_of_its_own(tmp_path: Path) -> None:
    """It lies on the row's first channel; only rows whose first channel has no scale are named."""
    header = {
        "polytask": 1,
        "name": "film",
        "inputs": {
            "film": {"kind": "image", "dims": 2, "channels": {"gray": "XR", "gland": "mask"}},
        },
        "tasks": {"grade": {"kind": "ordinal", "order": ["1", "2"]}},
    }
    world = World(tmp_path, header)
    for k in range(8):
        gray = np.random.default_rng(k).integers(0, 255, (20, 22)).astype(np.uint8)
        scale = {} if k == 5 else {"resolution": (100, 100), "resolutionunit": "CENTIMETER"}
        tifffile.imwrite(tmp_path / f"{k}.tif", gray, metadata=None, **scale)
        tifffile.imwrite(tmp_path / f"m{k}.tif", (gray > 99).astype(np.uint8))
        cells = {"film.gray": f"{k}.tif", "film.gland": f"m{k}.tif", "grade": str(k % 2 + 1)}
        world.rows.append({"subject": str(k), **cells})
    found = [(p.code, p.column, p.subject) for p in world.problems() if p.code == "no-scale"]
    assert found == [("no-scale", "film.gray", "5")]
