"""Crop boxes: what is kept is the body or what is not zero, and a margin stays inside the image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from polytask.plan.voxel_boxes import find_body_mask, find_bounding_box, find_crop_box


def ct(shape: tuple[int, ...] = (40, 36, 20)) -> npt.NDArray[np.int16]:
    """Air with a block of tissue that holds air itself, and a table beside it."""
    array = np.full((1, *shape), -1000, np.int16)
    array[0, 10:30, 8:30, 4:16] = 40
    array[0, 18:22, 15:20, 8:12] = -900
    array[0, :, 34, 4:16] = 100
    return array


def test_body_is_the_largest_part_without_holes_and_without_the_table() -> None:
    mask = find_body_mask(ct(), ["CT"])
    assert mask[20, 17, 10], "air inside the body belongs to it"
    assert not mask[:, 34].any(), "the table does not"
    assert find_bounding_box(mask) == ((9, 7, 3), (31, 31, 17)), "one voxel generous"


def test_body_crop_and_margin() -> None:
    assert find_crop_box(ct(), ["CT"], "body") == ((9, 7, 3), (31, 31, 17))
    assert find_crop_box(ct(), ["CT"], "body", margin=4, spacing=(1, 2, 8)) == ((5, 5, 2), (35, 33, 18))
    assert find_crop_box(ct(), ["CT"], "body", margin=500) == ((0, 0, 0), (40, 36, 20))
    assert find_crop_box(ct(), ["CT"], "none") == ((0, 0, 0), (40, 36, 20))


def test_body_of_a_large_image_is_found_on_a_coarse_grid() -> None:
    array = np.full((1, 300, 200), -1000, np.int16)
    array[0, 60:240, 50:150] = 0
    (low, high) = find_crop_box(array, ["CT"], "body")
    assert all(a - 8 <= lo <= a for lo, a in zip(low, (60, 50), strict=True))
    assert all(b <= hi <= b + 8 for hi, b in zip(high, (240, 150), strict=True))


def test_a_shifted_ct_has_a_body_too() -> None:
    shifted = ct().astype(np.int32) + 1000
    assert find_crop_box(shifted, ["CT"], "body") == ((9, 7, 3), (31, 31, 17))


def test_nonzero_spans_all_channels_and_ignores_nan() -> None:
    array = np.zeros((2, 8, 8), np.float32)
    array[0, 2, 3], array[1, 5, 6], array[0, 0, 0] = 1, -2, np.nan
    assert find_crop_box(array, ["MR", "MR"], "nonzero") == ((2, 3), (6, 7))


def test_an_empty_image_is_kept_whole() -> None:
    empty = np.zeros((1, 6, 7, 8), np.float32)
    assert find_crop_box(empty, ["MR"], "nonzero") == ((0, 0, 0), (6, 7, 8))
    assert find_crop_box(empty, ["MR"], "body") == ((0, 0, 0), (6, 7, 8))


def test_rgb_has_three_planes() -> None:
    array = np.zeros((4, 40, 40), np.uint8)
    array[3, 10:30, 10:30] = 200
    assert find_crop_box(array, ["RGB", "other"], "body") == ((9, 9), (31, 31))
