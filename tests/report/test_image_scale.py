"""Bars in mm or pixels, windows, slices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from polytask.images.formats import read_image_file, write_image_file
from polytask.images.volume import Grid, Volume
from polytask.report import overlay_plots
from polytask.report.drawing import create_figure, use_report_style
from polytask.report.image_scale import choose_bar_length, choose_gray_window, draw_scale_bar
from polytask.report.report_material import ReportMaterial
from polytask.report.view_planes import choose_view_planes
from polytask.report.voxel_cases import VoxelCase, choose_shown_cases, read_voxel_case


@pytest.mark.parametrize(("width", "length"), [(100, 20), (170, 50), (340, 100), (6, 1), (0.5, 0.1)])
def test_a_bar_is_a_round_number_below_a_third(width: float, length: float) -> None:
    assert choose_bar_length(width) == pytest.approx(length)


def test_a_bar_is_as_long_as_it_says() -> None:
    with use_report_style():
        axes = create_figure(3, 3).subplots()
        axes.imshow(np.zeros((50, 80)))
        assert draw_scale_bar(axes, 2.5, True) == "50 mm"
        x = axes.lines[-1].get_xdata()
        assert (x[1] - x[0]) * 2.5 == pytest.approx(50)
        assert all(y < 0 for y in axes.lines[-1].get_ydata()), "below the image, not over it"
        assert all(t.get_position()[1] < 0 for t in axes.texts)
        assert draw_scale_bar(axes, 2.5, False) == "20 pixels"


def test_a_bare_picture_has_no_scale(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(tmp_path / "photo.jpg")
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(tmp_path / "bare.png")
    write_image_file(
        tmp_path / "ours.png", Volume(np.zeros((1, 8, 9), np.uint8), Grid((8, 9), np.diag([2.0, 2, 1, 1])))
    )
    found = {p.name: read_image_file(p, dims=2).grid.physical for p in sorted(tmp_path.iterdir())}
    assert found == {"bare.png": False, "ours.png": True, "photo.jpg": False}


def seen_of(flat: ReportMaterial) -> VoxelCase:
    return read_voxel_case(flat, "lesion", choose_shown_cases(flat, "lesion")[0].who)


def test_a_photograph_has_pixels_and_no_sides(flat: ReportMaterial) -> None:
    seen = seen_of(flat)
    parts = overlay_plots.pair_structures(seen, ["lesion", "node"])
    (sided,) = overlay_plots.make_cut_pictures(seen, parts, "", "x", overlay_plots.describe_orientation(seen))
    assert "The patient's right is at the left." in sided.note
    photo = replace(seen, modality="RGB", physical=False)
    (bare,) = overlay_plots.make_cut_pictures(
        photo, parts, "", "x", overlay_plots.describe_orientation(photo)
    )
    assert "right" not in bare.note


def test_slices_are_named_with_their_place() -> None:
    affine = np.diag([1.0, 1.0, 3.0, 1.0])
    affine[:3, 3] = (-10, -20, -30)
    there = np.zeros((8, 9, 10), bool)
    there[2, 3, 7] = True
    assert [p.place for p in choose_view_planes(Grid(there.shape, affine), there)] == [
        "axial, slice 8 of 10, z −9.0 mm",
        "coronal, slice 4 of 9, y −17.0 mm",
        "sagittal, slice 3 of 8, x −8.0 mm",
    ]
    turned = np.diag([1.0, 1.0, -3.0, 1.0])
    turned[2, 3] = 30.0
    axial = choose_view_planes(Grid(there.shape, turned), there)[0]
    assert axial.place == "axial, slice 3 of 10, z 9.0 mm", "counted from the feet, however the file runs"


def test_windows() -> None:
    lung = np.full((4, 4), -700.0)
    lung[0] = 30
    inside = np.zeros((4, 4), bool)
    inside[0] = True
    assert choose_gray_window(lung, "CT", inside).text == "CT, soft tissue window: level 40, width 400 HU"
    assert choose_gray_window(lung, "CT", ~inside).text == "CT, lung window: level −600, width 1500 HU"
    stored = choose_gray_window(np.arange(4000.0).reshape(40, 100), "CT")
    assert stored.text == "CT values from 39.99 (black) to 3979 (white)", (
        "no Hounsfield units, so no window of them"
    )
    photo = choose_gray_window(np.zeros((4, 4)), "RGB")
    assert photo.text == ""
    mr = choose_gray_window(np.arange(1000.0), "MR")
    assert mr.text == "MR values from 9.99 (black) to 994 (white)"
    constant = choose_gray_window(np.zeros((5, 5)), "MR")
    assert constant.high > constant.low
