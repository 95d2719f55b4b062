"""Masks on images without a scale are measured in pixels."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.tasks.mask_sizes import (
    blank_length_metrics,
    compute_voxel_size,
    convert_sizes_to_pixels,
    name_size_unit,
)
from polytask.tasks.segmentation import Segmentation


def measured(unit: str, shift: int, spacing: tuple[float, float]) -> dict[str, float]:
    """A square of 4 × 4 pixels against itself moved by `shift` pixels down, 16 pixels larger by a row."""
    truth, answer = np.zeros((40, 40), np.uint8), np.zeros((40, 40), np.uint8)
    truth[4:8, 4:8] = 1
    answer[4 + shift : 9 + shift, 4:8] = 1
    task = Segmentation("lesion", ("lesion",), True, tolerance=2.0, unit=unit)
    return task.case_metrics(answer, truth, np.array([True]), None, spacing)


def test_distances_and_areas_count_pixels_whatever_the_grid_says() -> None:
    """Moved by 20 pixels: the far edge is 21 pixels away, by hand."""
    for spacing in ((1.0, 1.0), (0.3, 0.3)):
        found = measured("px", 20, spacing)
        assert found["hd95"] == found["hd95.lesion"] == pytest.approx(21, abs=1)
        assert found["volume"] == 16
        assert found["volume_error.lesion"] == 4
    found = measured("mm", 20, (0.5, 0.5))
    assert found["hd95"] == pytest.approx(10.5, abs=0.5)
    assert found["volume"] == pytest.approx(16 * 0.25 / 100), "cm²"


def test_the_tolerance_counts_pixels() -> None:
    assert measured("px", 1, (5.0, 5.0))["surface_dice"] == 1
    assert measured("mm", 1, (5.0, 5.0))["surface_dice"] < 1


def test_an_empty_mask_is_as_far_as_the_diagonal_in_pixels() -> None:
    task = Segmentation("lesion", ("lesion",), True, unit="px")
    none, some = np.zeros((30, 40), np.uint8), np.ones((30, 40), np.uint8)
    assert task.case_metrics(none, some, np.array([True]), None, (0.1, 0.1))["hd95"] == pytest.approx(50)


def test_units() -> None:
    assert [name_size_unit(u, d) for u, d in (("mm", 3), ("mm", 2), ("px", 2), ("px", 3), ("px", None))] == [
        *("ml", "cm²", "px", "voxels", "px"),
    ]
    assert compute_voxel_size((2.0, 5.0, 1.0), "mm") == pytest.approx(0.01)
    assert compute_voxel_size((2.0, 5.0), "px") == 10


def test_lengths_of_an_image_without_a_scale_are_not_told_in_mm() -> None:
    found = blank_length_metrics(
        {"dice": 0.5, "hd95.a": 3.0, "surface_dice": 1.0, "volume_error.a": 2.0, "n": 1.0}
    )
    assert {m for m, v in found.items() if np.isnan(v)} == {"hd95.a", "surface_dice", "volume_error.a"}


def test_sizes_measured_with_a_spacing_of_one_are_pixels() -> None:
    found = convert_sizes_to_pixels({"dice": 0.5, "volume.a": 0.04, "volume_error": -0.01, "hd95": 3.0}, 2)
    assert found == {
        "dice": 0.5,
        "volume.a": pytest.approx(4),
        "volume_error": pytest.approx(-1),
        "hd95": 3.0,
    }
    assert convert_sizes_to_pixels({"volume": 0.004}, 3) == {"volume": pytest.approx(4)}
    assert name_size_unit("mm") == "ml; 2D: cm²"
