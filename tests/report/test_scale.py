"""Bars in mm or pixels, windows, slices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from polytask.images.formats import read, write
from polytask.images.volume import Grid, Volume
from polytask.report import overlays
from polytask.report.drawing import figure, styled
from polytask.report.material import Material
from polytask.report.planes import planes
from polytask.report.scale import bar_length, draw_bar, window_of
from polytask.report.voxels import Seen, chosen, look


@pytest.mark.parametrize(("width", "length"), [(100, 20), (170, 50), (340, 100), (6, 1), (0.5, 0.1)])
def test_a_bar_is_a_round_number_below_a_third(width: float, length: float) -> None:
    assert bar_length(width) == pytest.approx(length)


def test_a_bar_is_as_long_as_it_says() -> None:
    with styled():
        axes = figure(3, 3).subplots()
        axes.imshow(np.zeros((50, 80)))
        assert draw_bar(axes, 2.5, True) == "50 mm"
        x = axes.lines[-1].get_xdata()
        assert (x[1] - x[0]) * 2.5 == pytest.approx(50)
        assert all(y < 0 for y in axes.lines[-1].get_ydata()), "below the image, not over it"
        assert all(t.get_position()[1] < 0 for t in axes.texts)
        assert draw_bar(axes, 2.5, False) == "20 pixels"


def test_a_bare_picture_has_no_scale(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(tmp_path / "photo.jpg")
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(tmp_path / "bare.png")
    write(tmp_path / "ours.png", Volume(np.zeros((1, 8, 9), np.uint8), Grid((8, 9), np.diag([2.0, 2, 1, 1]))))
    found = {p.name: read(p, dims=2).grid.physical for p in sorted(tmp_path.iterdir())}
    assert found == {"bare.png": False, "ours.png": True, "photo.jpg": False}


def seen_of(flat: Material) -> Seen:
    return look(flat, "lesion", chosen(flat, "lesion")[0].who)


def test_a_photograph_has_pixels_and_no_sides(flat: Material) -> None:
    seen = seen_of(flat)
    parts = overlays.parts_of(seen, ["lesion", "node"])
    (sided,) = overlays.cuts(seen, parts, "", "x", overlays.seen_as(seen))
    assert "The patient's right is at the left." in sided.note
    photo = replace(seen, modality="RGB", physical=False)
    (bare,) = overlays.cuts(photo, parts, "", "x", overlays.seen_as(photo))
    assert "right" not in bare.note


def test_slices_are_named_with_their_place() -> None:
    affine = np.diag([1.0, 1.0, 3.0, 1.0])
    affine[:3, 3] = (-10, -20, -30)
    there = np.zeros((8, 9, 10), bool)
    there[2, 3, 7] = True
    assert [p.place for p in planes(Grid(there.shape, affine), there)] == [
        "axial, slice 8 of 10, z −9.0 mm",
        "coronal, slice 4 of 9, y −17.0 mm",
        "sagittal, slice 3 of 8, x −8.0 mm",
    ]
    turned = np.diag([1.0, 1.0, -3.0, 1.0])
    turned[2, 3] = 30.0
    axial = planes(Grid(there.shape, turned), there)[0]
    assert axial.place == "axial, slice 3 of 10, z 9.0 mm", "counted from the feet, however the file runs"


def test_windows() -> None:
    lung = np.full((4, 4), -700.0)
    lung[0] = 30
    inside = np.zeros((4, 4), bool)
    inside[0] = True
    assert window_of(lung, "CT", inside).text == "CT, soft tissue window: level 40, width 400 HU"
    assert window_of(lung, "CT", ~inside).text == "CT, lung window: level −600, width 1500 HU"
    stored = window_of(np.arange(4000.0).reshape(40, 100), "CT")
    assert stored.text == "CT values from 39.99 (black) to 3979 (white)", (
        "no Hounsfield units, so no window of them"
    )
    photo = window_of(np.zeros((4, 4)), "RGB")
    assert photo.text == ""
    mr = window_of(np.arange(1000.0), "MR")
    assert mr.text == "MR values from 9.99 (black) to 994 (white)"
    constant = window_of(np.zeros((5, 5)), "MR")
    assert constant.high > constant.low
