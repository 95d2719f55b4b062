"""Voxels move only with their world coordinates."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from polytask.errors import PolytaskError
from polytask.images import geometry
from polytask.images.geometry import (
    crop_volume,
    find_axis_orientation,
    make_spaced_grid,
    orient_to_ras,
    resample_to_labels,
    resample_volume,
)
from polytask.images.volume import Grid, Volume
from tests.images.shapes import DIRECTIONS, grid_of, phantom, same_places, world


def _linear(grid: Grid) -> Volume:
    """Values that linear interpolation reproduces exactly: an affine function of the world place."""
    return Volume((world(grid) @ np.array([0.3, -0.7, 1.1]) + 5)[None].astype(np.float32), grid)


def _inside(grid: Grid, source: Grid) -> np.ndarray:
    """Where the voxels of `grid` lie between the voxel centers of `source`."""
    index = np.linalg.solve(
        source.affine, np.concatenate([world(grid).reshape(-1, 3).T, np.ones((1, np.prod(grid.shape)))])
    )
    d = source.dims
    top = np.array(source.shape)[:, None] - 1
    return ((index[:d] > -1e-6) & (index[:d] < top + 1e-6)).all(axis=0).reshape(grid.shape)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_canonical_is_what_nibabel_finds(direction: str) -> None:
    volume = phantom(grid_of(direction))
    ours = orient_to_ras(volume)
    theirs = nib.as_closest_canonical(nib.Nifti1Image(volume.array[0], volume.grid.affine))
    assert np.allclose(ours.grid.affine, theirs.affine)
    assert (ours.array[0] == np.asarray(theirs.dataobj)).all()
    assert find_axis_orientation(ours.grid.affine) == ((0, 1, 2), (1, 1, 1))
    assert np.shares_memory(ours.array, volume.array)


@given(
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.tuples(*[st.floats(0.2, 5)] * 3),
    st.permutations([0, 1, 2]),
    st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
    st.tuples(*[st.integers(1, 5)] * 3),
)
@settings(max_examples=100, deadline=None)
def test_canonical_keeps_world_places(
    angles: tuple[float, ...],
    spacing: tuple[float, ...],
    order: list[int],
    signs: tuple[float, ...],
    shape: tuple[int, ...],
) -> None:
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    affine[:3, :3] = turn @ (np.eye(3)[:, order] * signs) * spacing
    affine[:3, 3] = (5, -60, 170)
    values = np.arange(np.prod(shape), dtype=np.int16).reshape(1, *shape)
    volume = Volume(values, Grid(shape, affine))
    found = orient_to_ras(volume)
    assert same_places(volume, found)
    assert np.allclose(np.sort(found.grid.spacing), np.sort(volume.grid.spacing))
    again = orient_to_ras(found)
    assert np.allclose(again.grid.affine, found.grid.affine)
    assert (again.array == found.array).all()


def test_canonical_leaves_2d() -> None:
    volume = phantom(grid_of("PIR", (7, 9)))
    assert orient_to_ras(volume) is volume


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_crop_keeps_world_places(direction: str) -> None:
    volume = phantom(grid_of(direction))
    part = crop_volume(volume, (1, 2, 0), (5, 9, 3))
    assert part.array.shape == (1, 4, 7, 3) == (1, *part.grid.shape)
    assert np.allclose(world(part.grid), world(volume.grid)[1:5, 2:9, 0:3])
    assert (part.array == volume.array[:, 1:5, 2:9, 0:3]).all()
    with pytest.raises(ValueError, match="does not lie inside"):
        crop_volume(volume, (0, 0, 0), (8, 1, 1))


@given(st.tuples(*[st.integers(1, 40)] * 3), st.tuples(*[st.floats(0.2, 8)] * 3))
@settings(max_examples=100, deadline=None)
def test_spaced_covers_the_field_of_view(shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
    old = grid_of("oblique", shape)
    new = make_spaced_grid(old, spacing)
    assert new.spacing == pytest.approx(spacing)
    extent, wanted = np.array(new.shape) * spacing, np.array(shape) * old.spacing
    assert (extent > wanted - 0.011 * np.array(spacing)).all()
    assert (extent < wanted + np.array(spacing)).all()

    def center(g: Grid) -> np.ndarray:
        return (g.affine @ [*(np.array(g.shape) - 1) / 2, 1])[:3]

    assert center(new) == pytest.approx(center(old), abs=1e-6)


def test_spaced_at_its_own_spacing_is_the_same_grid() -> None:
    for direction in DIRECTIONS:
        grid = grid_of(direction)
        assert make_spaced_grid(grid, grid.spacing).is_same_grid(grid)


@pytest.mark.parametrize("source", DIRECTIONS)
@pytest.mark.parametrize("target", DIRECTIONS)
@pytest.mark.parametrize("finer", [0.4, 1.0])
def test_linear_reproduces_a_linear_field(source: str, target: str, finer: float) -> None:
    volume = _linear(grid_of(source, (12, 11, 9)))
    middle = (volume.grid.affine @ [5.5, 5, 4, 1])[:3]
    grid = grid_of(target, (9, 8, 7))
    affine = grid.affine.copy()
    affine[:3, :3] *= finer * min(volume.grid.spacing) / max(grid.spacing)
    affine[:3, 3] = middle - affine[:3, :3] @ (np.array(grid.shape) - 1) / 2
    grid = Grid(grid.shape, affine)
    assert _inside(grid, volume.grid).any()
    out = resample_volume(volume, grid, 1)
    there = _inside(grid, volume.grid)
    assert np.abs(out.array - _linear(grid).array)[0][there].max() < 2e-4


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("order", [0, 1])
def test_to_canonical_and_back_is_exact(direction: str, order: int) -> None:
    volume = phantom(grid_of(direction), channels=2)
    there = resample_volume(volume, orient_to_ras(volume).grid, order)
    assert (there.array == orient_to_ras(volume).array).all()
    back = resample_volume(there, volume.grid, order)
    assert (back.array == volume.array).all()


@pytest.mark.parametrize("direction", ["RAS", "PIR", "oblique"])
def test_there_and_back_at_another_spacing(direction: str) -> None:
    """A smooth ball keeps its values within a few percent, a mask keeps its shape, and its center stays put."""
    grid = grid_of(direction, (60, 32, 20))
    center = (grid.affine @ [30, 16, 10, 1])[:3]
    far = np.linalg.norm(world(grid) - center, axis=-1)
    smooth = Volume(np.exp(-((far / 12) ** 2))[None].astype(np.float32), grid)
    mask = Volume((far < 14)[None].astype(np.uint8), grid)
    other = make_spaced_grid(orient_to_ras(smooth).grid, (1.7, 1.7, 1.7))
    assert (
        np.abs(resample_volume(resample_volume(smooth, other, 1), grid, 1).array - smooth.array).max() < 0.05
    )
    small = resample_volume(mask, other, 0)
    back = resample_volume(small, grid, 0)
    assert small.array.dtype == np.uint8
    assert 2 * (back.array & mask.array).sum() / (back.array.sum() + mask.array.sum()) > 0.94
    assert np.abs(world(other)[small.array[0] > 0].mean(axis=0) - center).max() < 0.3


def test_nearest_takes_the_nearest_in_the_world() -> None:
    from scipy.spatial import cKDTree

    volume = phantom(grid_of("oblique PIR"))
    for direction in ("RAS", "oblique"):
        grid = grid_of(direction, (12, 12, 12))
        affine = grid.affine.copy()
        affine[:3, 3] = (volume.grid.affine @ [3, 4, 2, 1])[:3] - affine[:3, :3] @ (5.4, 5.7, 5.2)
        grid = Grid(grid.shape, affine)
        found = resample_volume(volume, grid, 0, fill=-999).array[0]
        inverse = np.linalg.inv(volume.grid.affine)
        index = world(grid).reshape(-1, 3) @ inverse[:3, :3].T + inverse[:3, 3]
        at = np.stack(np.meshgrid(*[np.arange(n) for n in volume.grid.shape], indexing="ij"), -1).reshape(
            -1, 3
        )
        wanted = volume.array.reshape(-1)[cKDTree(at).query(index)[1]]
        outside = ((index < -0.501) | (index > np.array(volume.grid.shape) - 0.499)).any(axis=1)
        sure = np.abs(index - np.floor(index) - 0.5).min(axis=1) > 1e-2
        assert 0 < outside.sum() < len(outside)
        assert (found.reshape(-1)[outside] == -999).all()
        assert (found.reshape(-1) == wanted)[sure & ~outside].all()


@pytest.mark.parametrize("turn", [0.0, 10.0])
def test_shrinking_averages_what_it_covers(turn: float) -> None:
    """A pattern finer than the new voxels becomes its mean instead of aliasing, along and across the axes."""
    index = np.indices((64, 64, 8)).sum(axis=0)
    volume = Volume((index % 2 * 100).astype(np.int16)[None], Grid((64, 64, 8), np.eye(4)))
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("z", turn, degrees=True).as_matrix() * (4, 4, 1)
    affine[:3, 3] = volume.grid.affine[:3, :3] @ (31.5, 31.5, 0) - affine[:3, :3] @ (3.5, 3.5, 0)
    out = resample_volume(volume, Grid((8, 8, 8), affine), 1).array
    assert np.abs(out - 50).max() < 8
    assert out.mean() == pytest.approx(50, abs=1)


def test_outside_is_filled_per_channel() -> None:
    volume = Volume(np.ones((2, 4, 4, 4), np.float32), Grid((4, 4, 4), np.eye(4)))
    for angle in (0.0, 30.0):
        affine = np.eye(4)
        affine[:3, :3] = Rotation.from_euler("y", angle, degrees=True).as_matrix()
        affine[:3, 3] = (-6, -6, -6)
        out = resample_volume(volume, Grid((14, 14, 14), affine), 1, fill=(7, -3)).array
        assert set(np.unique(np.round(out[0], 4))) == {1, 7}
        assert set(np.unique(np.round(out[1], 4))) == {1, -3}


def test_2d_images_shrink_and_come_back() -> None:
    grid = grid_of("LPS", (40, 30))
    volume = _linear(grid)
    small = make_spaced_grid(grid, (2.0, 2.0))
    out = resample_volume(volume, small, 1)
    assert out.array.shape == (1, 16, 23)
    center = (slice(None), slice(2, -2), slice(2, -2))
    assert np.abs(out.array - _linear(small).array)[center].max() < 1e-3
    assert np.abs(resample_volume(out, grid, 1).array - volume.array)[:, 8:-8, 8:-8].max() < 1e-3


def test_grids_that_cannot_meet() -> None:
    flat = phantom(grid_of("LPS", (4, 5)))
    with pytest.raises(ValueError, match="2D image"):
        resample_volume(flat, grid_of("LPS"), 0)
    side = flat.grid.affine[:, [0, 2, 1, 3]]
    with pytest.raises(PolytaskError, match="right angles"):
        resample_volume(flat, Grid((4, 5), side), 0)
    with pytest.raises(ValueError, match="order"):
        resample_volume(flat, flat.grid, 3)


def test_labels_are_the_most_probable_on_the_source_grid() -> None:
    source = grid_of("oblique", (20, 18, 9))
    for stored in (
        make_spaced_grid(source, (2, 2, 2)),
        make_spaced_grid(orient_to_ras(phantom(source)).grid, (1.5, 1.5, 1.5)),
        grid_of("RAS", (30, 30, 30)),
    ):
        rng = np.random.default_rng(0)
        chances = rng.random((4, *stored.shape)).astype(np.float32)
        found = resample_to_labels(Volume(chances, stored), source)
        fill = [1.0, 0, 0, 0]
        wanted = resample_volume(Volume(chances, stored), source, 1, fill).array.argmax(axis=0)
        assert found.array.dtype == np.uint8
        assert (found.array[0] == wanted).all()


def test_parallel_axes_are_never_resampled_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """One axis after another reads two voxels an axis, in one go eight together: 128³ voxels were to take a second."""
    monkeypatch.setattr(geometry, "resample_oblique", lambda *_: pytest.fail("all axes in one go"))
    array = np.random.default_rng(0).random((1, 12, 10, 8), np.float32)
    turned = np.diag([-1.0, 2.0, 1.5, 1.0])[[1, 0, 2, 3]]
    for affine in (np.eye(4), turned):
        volume = Volume(array, Grid((12, 10, 8), affine))
        for wanted in ((4, 4, 4), (0.8, 1.2, 1.0)):
            for order in (0, 1):
                resample_volume(volume, make_spaced_grid(volume.grid, wanted), order)
    tilted = np.eye(4)
    tilted[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    with pytest.raises(pytest.fail.Exception, match="in one go"):
        resample_volume(Volume(array, Grid((12, 10, 8), tilted)), Grid((8, 8, 8), np.eye(4)), 1)
