from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from polytask.tasks.mask_metrics import compute_dice_overlap, compute_mask_metrics, measure_surface_distances
from polytask.tasks.segmentation import Segmentation

NOTHING = np.zeros((8, 8, 8), bool)
BOX = NOTHING.copy()
BOX[2:5, 2:5, 2:5] = True


def blobs(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    return np.asarray(noise > np.quantile(noise, 0.8))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.3, 3.0), (0.5, 2.0)])
def test_distances_are_those_of_monai(spacing: tuple[float, ...]) -> None:
    metrics = pytest.importorskip("monai.metrics")
    shape = (20, 22, 17)[: len(spacing)]
    for seed in range(3):
        a, b = blobs(seed, shape), blobs(seed + 10, shape)
        found = compute_mask_metrics(a, b, spacing, 2.0)
        one, two = (torch.from_numpy(m)[None, None] for m in (a, b))
        hd = metrics.compute_hausdorff_distance(
            one, two, include_background=True, percentile=95, spacing=spacing
        )
        near = metrics.compute_surface_dice(one, two, [2.0], include_background=True, spacing=spacing)
        dice = metrics.compute_dice(one, two)
        assert found["hd95"] == pytest.approx(float(hd), rel=1e-5)
        assert found["surface_dice"] == pytest.approx(float(near), rel=1e-5)
        assert found["dice"] == pytest.approx(float(dice), rel=1e-5)


def test_a_shift_by_hand() -> None:
    moved = np.roll(BOX, 1, axis=2)
    found = compute_mask_metrics(moved, BOX, (1.0, 1.0, 2.5), 1.0)
    assert found["hd95"] == 2.5
    assert found["dice"] == pytest.approx(2 * 18 / 54)
    assert found["volume"] == pytest.approx(27 * 2.5 / 1000)
    assert found["volume_error"] == 0


def test_empty_masks() -> None:
    both = compute_mask_metrics(NOTHING, NOTHING, (1.0, 1.0, 2.0), 2.0)
    assert (both["dice"], both["surface_dice"], both["empty_truth"], both["empty_answer"]) == (1, 1, 1, 1)
    assert np.isnan(both["hd95"])
    for drawn, truth in ((BOX, NOTHING), (NOTHING, BOX)):
        one = compute_mask_metrics(drawn, truth, (1.0, 1.0, 2.0), 2.0)
        assert (one["dice"], one["surface_dice"]) == (0, 0)
        assert one["hd95"] == pytest.approx(np.sqrt(8**2 + 8**2 + 16**2))
        assert one["volume_error"] == pytest.approx((drawn.sum() - truth.sum()) * 2 / 1000)


def test_case_metrics_leave_out_what_is_unknown_and_outside() -> None:
    task = Segmentation("m", ("a", "b"), exclusive=True)
    value = BOX.astype(np.uint8)
    value[6:] = 2
    answer = np.where(BOX, 1, 0).astype(np.uint8)
    answer[7, 7, 7] = 1
    spacing = (1.0, 1.0, 1.0)
    both = task.case_metrics(answer, value, np.array([True, True]), None, spacing)
    assert both["dice.b"] == 0
    assert both["dice"] == pytest.approx(both["dice.a"] / 2)
    region = np.ones(BOX.shape, bool)
    region[6:] = False
    first = task.case_metrics(answer, value, np.array([True, False]), region, spacing)
    assert first["dice"] == first["dice.a"] == 1
    assert "dice.b" not in first
    quick = task.case_metrics(answer, value, np.array([True, True]), None, spacing, distances=False)
    assert quick["dice"] == both["dice"]
    assert "hd95" not in quick
    empty = task.case_metrics(answer * 0, value * 0, np.array([True, True]), None, spacing)
    assert empty["dice"] == 1
    assert np.isnan(empty["hd95"])


AXES = np.stack(np.meshgrid(*[np.arange(32) - 15.5] * 3, indexing="ij"))
RADIUS = np.sqrt((AXES**2).sum(0))


@pytest.mark.parametrize("region", [np.abs(AXES[0]) < 3, AXES[0] < 0, np.abs(AXES).max(0) < 14])
@pytest.mark.parametrize("drawn_on", [True, False])
@pytest.mark.parametrize("radii", [(7, 12), (12, 7)])
def test_a_region_that_cuts_both_masks_makes_no_agreement(
    region: np.ndarray, drawn_on: bool, radii: tuple[int, int]
) -> None:
    """Concentric spheres never come within 2 mm of each other, whether the truth goes on beyond the region or not."""
    drawn, truth = (radius >= RADIUS for radius in radii)
    truth = truth if drawn_on else truth & region
    found = compute_mask_metrics(drawn, truth, (1.0, 1.0, 1.0), 2.0, region=region)
    assert found["surface_dice"] == 0
    assert found["hd95"] == pytest.approx(5, abs=1)
    same = compute_mask_metrics(truth, truth, (1.0, 1.0, 1.0), 2.0, region=region)
    assert (same["surface_dice"], same["hd95"]) == (1, 0)


def line(first: int, last: int) -> np.ndarray:
    return (np.arange(12) >= first) & (np.arange(12) <= last)


@pytest.mark.parametrize(
    ("drawn", "truth", "surface_dice", "hd95"),
    [
        # 3 is 1 voxel from 2 (2 mm); 6 is 3 voxels from 3 and 9, not 1 from the end of the region at 7
        (line(3, 9), line(2, 6), 2 / 3, np.percentile([2, 6], 95)),
        (line(2, 6), line(2, 7), 1, 0),  # the truth is cut at 7; whether 6 is a miss nobody knows
        (line(2, 5), line(2, 7), 2 / 3, np.percentile([0, 4], 95)),  # at least 2 voxels from where it ends
        (line(2, 4), line(2, 7), 2 / 3, np.percentile([0, 4], 95)),  # 2 voxels from 2, 3 from the cut
        (line(2, 7), line(2, 9), 2 / 3, np.percentile([0, 4], 95)),  # the truth was drawn on to 9
        (line(0, 4), line(0, 7), 2 / 3, np.percentile([0, 6], 95)),  # the image's border is no cut
        (line(0, 8), line(0, 8), 1, 0),
        (line(1, 8), line(0, 11), 1, 2),
    ],
)
def test_surfaces_inside_a_region_by_hand(
    drawn: np.ndarray, truth: np.ndarray, surface_dice: float, hd95: float
) -> None:
    region = line(0, 7)
    found = compute_mask_metrics(drawn, truth, (2.0,), 2.0, region=region)
    assert found["surface_dice"] == pytest.approx(surface_dice)
    assert found["hd95"] == pytest.approx(hd95)
    assert found["volume"] == pytest.approx((truth & region).sum() * 2 / 10)


def test_a_region_without_a_surface_has_none_to_judge() -> None:
    found = compute_mask_metrics(line(2, 8), line(1, 9), (1.0,), 2.0, region=line(4, 6))
    assert found["dice"] == 1
    assert np.isnan(found["surface_dice"])
    assert np.isnan(found["hd95"])


def test_a_region_of_everything_changes_nothing() -> None:
    a, b = blobs(0, (16, 15, 14)), blobs(1, (16, 15, 14))
    spacing = (0.7, 1.3, 3.0)
    assert compute_mask_metrics(a, b, spacing, 2.0) == compute_mask_metrics(
        a, b, spacing, 2.0, region=np.ones(a.shape, bool)
    )


def test_dice_by_hand() -> None:
    one, other = np.array([True, True, False]), np.array([False, True, True])
    assert compute_dice_overlap(one, other) == 0.5
    assert compute_dice_overlap(one, ~one) == 0.0
    assert compute_dice_overlap(one & False, one & False) == 1.0


def test_distances_run_between_surfaces_and_count_both_ways() -> None:
    """Drawn 2 to 4, true 2 to 9: the surfaces are 2, 4 and 2, 9."""
    forth, back = measure_surface_distances(line(2, 4), line(2, 9), (3.0,))
    assert forth.tolist() == [0.0, 6.0]
    assert back.tolist() == [0.0, 15.0]
    found = compute_mask_metrics(line(2, 4), line(2, 9), (3.0,), 6.0)
    assert found["surface_dice"] == 3 / 4
    assert found["hd95"] == pytest.approx(np.percentile([0, 15], 95))
    assert compute_mask_metrics(line(2, 4), line(2, 9), (3.0,), 5.9)["surface_dice"] == 2 / 4
    assert compute_mask_metrics(line(2, 9), line(2, 4), (3.0,), 6.0)["hd95"] == found["hd95"]


def test_without_a_tolerance_a_cut_is_not_near() -> None:
    """The truth is cut at 7; the drawn end at 6 is 1 voxel from the cut and 4 from the surface at 2."""
    forth, back = measure_surface_distances(line(2, 6), line(2, 7), (1.0,), region=line(0, 7))
    assert forth.tolist() == [0.0, 1.0]
    assert back.tolist() == [0.0]


def test_volumes_are_in_ml_or_square_cm() -> None:
    square = np.ones((2, 5), bool)
    found = compute_mask_metrics(square[:, :3] & False, square[:, :3], (5.0, 4.0), 1.0, distances=False)
    assert (found["volume"], found["volume_error"]) == (pytest.approx(1.2), pytest.approx(-1.2))
    assert (found["empty_truth"], found["empty_answer"], found["dice"]) == (0.0, 1.0, 0.0)
    assert "surface_dice" not in found
