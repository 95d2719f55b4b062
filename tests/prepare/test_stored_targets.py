from pathlib import Path

import numpy as np
import pytest

from polytask.cohort.header import SegmentationSpec
from polytask.errors import PolytaskError
from polytask.images.formats import write_image_file
from polytask.images.volume import Grid, Volume
from polytask.prepare.prepared_image import prepare_image
from polytask.prepare.stored_targets import (
    MAX_POINTS_PER_STRUCTURE,
    _draw_structure_points,
    prepare_dose,
    prepare_segmentation,
)
from polytask.prepare.target_frame import TargetFrame
from tests.prepare.worlds import affine, image_plan

SHAPE = (20, 18, 16)
GRID = Grid(SHAPE, affine((1.0, 1.0, 1.0)))


def frame(spacing: tuple[float, ...] = (1.0, 1.0, 1.0), align: str = "strict") -> TargetFrame:
    image = Volume(np.ones((1, *SHAPE), np.int16), GRID)
    plan = image_plan(spacing=spacing, channels={"ct": "CT"})
    return TargetFrame(prepare_image({"ct": image}, plan), True, align, "subject 1, organs")


def labels() -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8)
    array[2:10, 2:10, 2:10] = 4
    array[10:14, 3:9, 3:9] = 7
    return array


def saved(path: Path, array: np.ndarray) -> Path:
    write_image_file(path, Volume(array, GRID))
    return path


def test_labels_become_consecutive_in_the_headers_order(tmp_path: Path) -> None:
    task = SegmentationSpec(kind="segmentation", image="scan", labels={"b": 7, "a": 4})
    path = saved(tmp_path / "m.nii.gz", labels()[None])
    stored = prepare_segmentation(task, [path], [True, True], None, frame())
    turned = labels()[::-1, ::-1]
    assert np.array_equal(stored.value, np.where(turned == 7, 1, np.where(turned == 4, 2, 0)))
    assert stored.region is None


def test_ignored_voxels_do_not_count(tmp_path: Path) -> None:
    array = labels()
    array[0, 0, 0] = 9
    task = SegmentationSpec(kind="segmentation", image="scan", labels={"a": 4, "b": 7}, ignore=9)
    stored = prepare_segmentation(
        task, [saved(tmp_path / "m.nii.gz", array[None])], [True, True], None, frame()
    )
    assert stored.region is not None
    assert (~stored.region).sum() == 1
    assert not stored.region[-1, -1, 0]


def test_a_region_file_and_ignore_hold_together(tmp_path: Path) -> None:
    array = labels()
    array[0, 0, 0] = 9
    region = np.ones((1, *SHAPE), np.uint8)
    region[0, :, :, 8:] = 0
    task = SegmentationSpec(kind="segmentation", image="scan", labels={"a": 4, "b": 7}, ignore=9)
    mask, where = saved(tmp_path / "m.nii.gz", array[None]), saved(tmp_path / "r.nii.gz", region)
    stored = prepare_segmentation(task, [mask], [True, True], where, frame())
    assert stored.region is not None
    assert stored.region.sum() == 20 * 18 * 8 - 1
    assert stored.points[:, 3].max() < 8


def test_lists_of_labels_overlap(tmp_path: Path) -> None:
    task = SegmentationSpec(kind="segmentation", image="scan", labels={"all": [4, 7], "part": 7})
    stored = prepare_segmentation(
        task, [saved(tmp_path / "m.nii.gz", labels()[None])], [True, True], None, frame()
    )
    assert stored.value.shape == (2, *SHAPE)
    assert stored.value[0].sum() == (labels() > 0).sum()
    assert stored.value[1].sum() == (labels() == 7).sum()


def test_an_odd_label_is_refused(tmp_path: Path) -> None:
    task = SegmentationSpec(kind="segmentation", image="scan", labels={"a": 4})
    with pytest.raises(PolytaskError, match="label 7 is not in the header"):
        prepare_segmentation(task, [saved(tmp_path / "m.nii.gz", labels()[None])], [True], None, frame())


def test_structures_of_their_own_files(tmp_path: Path) -> None:
    task = SegmentationSpec(kind="segmentation", image="scan", structures=["x", "absent", "unknown"])
    path = saved(tmp_path / "x.nii.gz", (labels() == 4)[None].astype(np.uint8))
    stored = prepare_segmentation(task, [path, None, None], [True, True, False], None, frame())
    assert [int(v.sum()) for v in stored.value] == [512, 0, 0]
    assert stored.known == (True, True, False)
    assert set(stored.points[:, 0]) == {0}


def test_a_file_with_too_few_structures_is_refused(tmp_path: Path) -> None:
    task = SegmentationSpec(kind="segmentation", image="scan", structures=["x", "y", "z"])
    path = saved(tmp_path / "x.nii.gz", np.stack([labels(), labels()]))
    with pytest.raises(PolytaskError, match="has 2 masks, but the header has 3 structures"):
        prepare_segmentation(task, [path], [True] * 3, None, frame())


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (0.7, 0.7, 0.7), (1.3, 0.9, 2.1)])
def test_resampling_keeps_volumes_and_no_new_labels(tmp_path: Path, spacing: tuple[float, ...]) -> None:
    task = SegmentationSpec(kind="segmentation", image="scan", labels={"a": 4, "b": 7})
    path = saved(tmp_path / "m.nii.gz", labels()[None])
    stored = prepare_segmentation(task, [path], [True, True], None, frame(spacing))
    assert set(np.unique(stored.value)) == {0, 1, 2}
    assert (stored.value == 1).sum() * np.prod(spacing) == pytest.approx((labels() == 4).sum(), rel=0.2)


def test_a_mask_of_another_size_is_refused_or_brought_by_its_affine(tmp_path: Path) -> None:
    task = SegmentationSpec(kind="segmentation", image="scan", labels={"a": 4, "b": 7})
    matrix = GRID.affine.copy()
    matrix[:3, 3] += matrix[:3, 0] * 2
    path = tmp_path / "m.nii.gz"
    write_image_file(path, Volume(labels()[None, 2:], Grid((18, 18, 16), matrix)))
    with pytest.raises(PolytaskError, match="size 18×18×16, but its image has 20×18×16"):
        prepare_segmentation(task, [path], [True, True], None, frame())
    stored = prepare_segmentation(task, [path], [True, True], None, frame(align="resample"))
    whole = prepare_segmentation(
        task, [saved(tmp_path / "w.nii.gz", labels()[None])], [True, True], None, frame()
    )
    assert np.array_equal(stored.value, whole.value)


def test_points_lie_on_their_structure_and_are_few(tmp_path: Path) -> None:
    array = np.zeros((1, *SHAPE), np.uint8)
    array[0, 1:18, 1:16, 1:14] = 1
    task = SegmentationSpec(kind="segmentation", image="scan", structures=["x"])
    path = saved(tmp_path / "x.nii.gz", array)
    stored = prepare_segmentation(task, [path], [True], None, frame())
    assert len(stored.points) == MAX_POINTS_PER_STRUCTURE
    assert len(np.unique(stored.points, axis=0)) == MAX_POINTS_PER_STRUCTURE
    assert stored.value[0][tuple(stored.points[:, 1:].T)].all()
    again = prepare_segmentation(task, [path], [True], None, frame())
    assert np.array_equal(stored.points, again.points)


@pytest.mark.parametrize(("length", "kind"), [(32767, np.int16), (32768, np.int32)])
def test_points_take_two_bytes_a_number_unless_an_axis_is_too_long(length: int, kind: type) -> None:
    value = np.zeros((length, 1), np.uint8)
    value[-1] = 1
    points = _draw_structure_points(value, True, [True], None, "subject 1, organs")
    assert points.dtype == kind
    assert points.tolist() == [[0, length - 1, 0]]


def test_a_dose_is_interpolated(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.arange(20.0, dtype=np.float32)[:, None, None], SHAPE)[None]
    stored = prepare_dose(saved(tmp_path / "d.nii.gz", ramp.copy()), None, frame((0.5, 1.0, 1.0)))
    assert stored.value.dtype == np.float32
    inner = stored.value[2:-2, 0, 0]
    assert np.allclose(np.diff(inner), -0.5, atol=1e-5)
    assert stored.value[tuple(stored.points[:, 1:].T)].min() > 1.9
