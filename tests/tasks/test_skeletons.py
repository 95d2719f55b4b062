"""Center lines: as many parts, holes and tunnels as the mask, one voxel wide, in the middle; and clDice by hand."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, label

from polytask.tasks.segmentation import Segmentation
from polytask.tasks.skeletons import compute_centerline_dice, thin_mask

BAR = np.zeros((9, 20), bool)
BAR[3:6, 2:18] = True


def draw_blobs(seed: int, dims: int) -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(24,) * dims), 1.5)
    return np.asarray(noise > np.quantile(noise, 0.75))


def count_euler(mask: np.ndarray) -> int:
    """The Euler characteristic of voxels as closed cubes: corners − edges + faces − cubes (in 2D without cubes).

    Corners, edges and faces lie at the odd and even places of a grid twice as fine; each counts once.
    """
    fine = np.zeros([2 * n + 1 for n in mask.shape], bool)
    for place in np.argwhere(mask):
        for shift in product((0, 1, 2), repeat=mask.ndim):
            fine[tuple(2 * place + shift)] = True
    total = 0
    for odd in range(mask.ndim + 1):
        for axes in combinations(range(mask.ndim), odd):
            total += (-1) ** odd * int(
                fine[tuple(slice(int(a in axes), None, 2) for a in range(mask.ndim))].sum()
            )
    return total


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_thinning_keeps_the_topology(dims: int, seed: int) -> None:
    """Parts, cavities and the Euler characteristic together fix the number of tunnels too."""
    mask = draw_blobs(seed, dims)
    line = thin_mask(mask)
    assert line.sum() < mask.sum() / 3
    assert not (line & ~mask).any()
    corners = np.ones((3,) * dims)
    assert label(line, corners)[1] == label(mask, corners)[1]
    outside = [label(np.pad(~m, 1, constant_values=True))[1] for m in (line, mask)]
    assert outside[0] == outside[1]
    assert count_euler(line) == count_euler(mask)
    assert (thin_mask(line) == line).all()


def test_a_bar_and_a_ring_by_hand() -> None:
    line = np.argwhere(thin_mask(BAR))
    assert set(line[:, 0]) == {4}, "the middle row"
    assert len(line) >= 14
    y, x = np.mgrid[:15, :15] - 7
    ring = (np.hypot(y, x) < 6.5) & (np.hypot(y, x) > 2.5)
    radius = np.hypot(*np.argwhere(thin_mask(ring)).T[:, None, :].astype(float).squeeze(1) - 7)
    assert np.abs(radius - 4.5).max() < 1, "the circle in the middle"
    tube = np.zeros((9, 9, 20), bool)
    tube[3:6, 3:6, 2:18] = True
    places = np.argwhere(thin_mask(tube))
    assert {tuple(p) for p in places[:, :2]} == {(4, 4)}
    assert not thin_mask(np.zeros((4, 4), bool)).any()


def test_a_cut_costs_more_than_its_voxels() -> None:
    """The truth is one bar; the answer lacks 2 of its 16 columns. Its lines lie inside, 14 of the 16 places or so of
    the true one are in it."""
    cut = BAR.copy()
    cut[:, 9:11] = False
    true_line = thin_mask(BAR)
    inside = (true_line & cut).sum() / true_line.sum()
    assert compute_centerline_dice(cut, BAR) == pytest.approx(2 * inside / (1 + inside))
    assert compute_centerline_dice(BAR, BAR) == 1
    wide = np.zeros_like(BAR)
    wide[2:7, 2:18] = True
    assert compute_centerline_dice(wide, BAR) > 0.9, "width hardly matters, where the middle is right"
    moved = np.roll(BAR, 3, axis=0)
    assert compute_centerline_dice(moved, BAR) == 0


def test_empty_masks_and_regions() -> None:
    empty = np.zeros_like(BAR)
    assert compute_centerline_dice(empty, empty) == 1
    assert compute_centerline_dice(empty, BAR) == compute_centerline_dice(BAR, empty) == 0
    left = np.zeros_like(BAR)
    left[:, :9] = True
    cut = BAR & left
    assert compute_centerline_dice(cut, BAR, left) == 1, "what lies outside the region does not count"
    assert compute_centerline_dice(cut, BAR) < 0.8
    assert compute_centerline_dice(BAR, BAR, ~BAR) == 1, "no line in the region"


def test_the_task_gives_it_for_thin_structures_only() -> None:
    value = np.stack([BAR, BAR]).astype(np.uint8)
    task = Segmentation("m", ("vessel", "organ"), False, thin=("vessel",))
    known, ones = np.ones(2, bool), (1.0, 1.0)
    metrics = task.case_metrics(value, value, known, None, ones)
    assert (metrics["cldice.vessel"], metrics["cldice"]) == (1, 1)
    assert "cldice.organ" not in metrics
    assert "cldice" not in task.case_metrics(value, value, known, None, ones, distances=False)
    assert "cldice" not in task.case_metrics(value, value, ~known, None, ones)
