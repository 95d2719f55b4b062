"""Memory that preparing takes beside the voxels, traced where numpy asks for it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from polytask.images.geometry import make_spaced_grid
from polytask.images.volume import Grid, Volume
from polytask.images.voxel_digest import digest_voxels
from polytask.plan.plan_schema import CropPlan
from polytask.plan.voxel_boxes import find_nonzero_mask
from polytask.prepare import plane_statistics as statistics
from polytask.prepare.plane_statistics import compute_plane_statistics
from polytask.prepare.prepared_image import prepare_image
from tests.prepare.worlds import image_plan

SHAPE = (90, 90, 120)


def ct(spacing: tuple[float, float, float] = (0.8, 0.8, 1.0)) -> Volume:
    """As a file holds it: the first axis closest together in memory."""
    random = np.random.default_rng(0)
    array = np.asfortranarray(random.integers(-1000, 1500, SHAPE, dtype=np.int16))
    return Volume(array[None], Grid(SHAPE, np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])))


def peak_of(work: Callable[[], object], volume: Volume) -> float:
    """Most bytes held at once beside the volume, in bytes of its voxels."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / volume.array.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("spacing", "rule"),
    [((0.8, 0.8, 1.0), "none"), ((0.9, 0.9, 1.1), "body"), ((1.6, 1.6, 2.0), "nonzero")],
)
def test_preparing_holds_source_result_and_little_else(
    spacing: tuple[float, float, float], rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from polytask.images import interpolate, voxel_digest
    from polytask.plan import voxel_boxes

    monkeypatch.setattr(voxel_boxes, "MAX_BODY_GRID", 24)  # as coarse for this image as for a large one
    monkeypatch.setattr(interpolate, "SLAB_BYTES", 1 << 17)
    monkeypatch.setattr(voxel_digest, "DIGEST_BLOCK_VOXELS", 1 << 14)
    monkeypatch.setattr(statistics, "STATISTICS_BLOCK_VOXELS", 1 << 14)
    plan = image_plan(channels={"ct": "CT"}, spacing=spacing, crop=CropPlan(rule=rule))
    volume = ct()

    def prepare() -> None:
        digest_voxels(volume)
        prepare_image({"ct": volume}, plan)

    assert peak_of(prepare, volume) <= 2.0  # and 1 for the source: 9.5 with all copies


def test_slabs_change_no_voxel(monkeypatch: pytest.MonkeyPatch) -> None:
    from polytask.images import interpolate
    from polytask.images.geometry import resample_volume

    volume = ct()
    volume = Volume(volume.array[:, :30, :40, :50], Grid((30, 40, 50), volume.grid.affine))
    for spacing in ((0.9, 0.7, 1.1), (1.6, 0.8, 2.5), (0.8, 0.8, 0.3)):
        for order in (0, 1):
            grid = make_spaced_grid(volume.grid, spacing)
            monkeypatch.setattr(interpolate, "SLAB_BYTES", 1 << 30)
            whole = resample_volume(volume, grid, order, fill=-1024)
            monkeypatch.setattr(interpolate, "SLAB_BYTES", 1 << 12)
            slabs = resample_volume(volume, grid, order, fill=-1024)
            assert whole.array.dtype == slabs.array.dtype
            np.testing.assert_array_equal(whole.array, slabs.array)


def test_whole_numbers_are_rounded_and_cut_to_their_range() -> None:
    from polytask.images.geometry import resample_volume

    volume = Volume(np.array([[[0.0, 300.0], [-5.0, 2.5]]], np.float32), Grid((2, 2), np.eye(4)))
    finer = Grid((2, 2), np.eye(4))
    assert resample_volume(volume, finer, 1, kind=np.dtype(np.uint8)).array.tolist() == [[[0, 255], [0, 2]]]


@pytest.mark.parametrize("kind", [np.int16, np.uint8, np.float32])
def test_statistics_are_those_of_numpy(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "STATISTICS_BLOCK_VOXELS", 100)
    random = np.random.default_rng(1)
    image = random.normal(90, 40, (3, 11, 13, 7)).clip(0, 250).astype(kind)
    image[1][image[1] < 80] = 0
    image[2] = 0
    for plane, found in zip(image, compute_plane_statistics(image), strict=True):
        inside = plane[plane != 0].astype(np.float64)
        inside = inside if inside.size else np.zeros(1)
        wanted = [plane.mean(dtype=np.float64), plane.std(dtype=np.float64), inside.mean(), inside.std()]
        assert list(found.as_dict().values()) == pytest.approx(wanted, rel=1e-12, abs=1e-12)


def test_nan_counts_as_zero_for_the_crop() -> None:
    array = np.array([[[0.0, np.nan], [1.0, 0.0]], [[0.0, 0.0], [0.0, 2.0]]], np.float32)
    assert find_nonzero_mask(array).tolist() == [[False, False], [True, True]]
    assert find_nonzero_mask(array.astype(bool) * np.int16(3)).tolist() == [[False, True], [True, True]]
