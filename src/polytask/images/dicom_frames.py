"""Read from DICOM headers where each frame lies, and find the regular grid that the frames form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from polytask.errors import PolytaskError
from polytask.images.dicom_ultrasound import find_ultrasound_spacing
from polytask.images.file_axes import LPS_TO_RAS, RASTER_AFFINE
from polytask.images.volume import Affine

MAX_STEP_VARIATION = 0.05  # of the spacing
MAX_SLICE_TILT = 0.01  # sideways step per slice, of the spacing: half a degree
_SWAP_ROWS_COLUMNS: Affine = np.eye(4)[:, [1, 0, 2, 3]]


@dataclass(frozen=True)
class DicomFrame:
    """One slice: where it is stored, where it lies in the patient, and how its numbers become real values.

    Args:
        file, number: the file, and the frame inside it.
        position: `[3]` of the first pixel (LPS, mm); None when the file does not say.
        orientation: `[6]` directions of a row and of a column (LPS); None when the file does not say.
        pixel: distance in mm between rows and between columns; 1 when the file does not say.
        slope, inter: real value = slope · stored + inter.
        measured: whether the file says how large a pixel is.
    """

    file: Path
    number: int
    position: Affine | None
    orientation: Affine | None
    pixel: tuple[float, float]
    slope: float
    inter: float
    measured: bool = True


def list_dicom_frames(file: Path, header: Any) -> list[DicomFrame]:
    """List the frames of one file, one per slice: classic files, RTDOSE grids, or enhanced files.

    An enhanced file describes its frames in functional groups. The caller has checked how many frames the header
    claims (`count_dicom_frames`).
    """
    count = count_dicom_frames(header)
    groups = header.get("PerFrameFunctionalGroupsSequence")
    if groups is not None:
        if len(groups) < count:
            raise PolytaskError(
                f"{file}: {count} frames, but functional groups for {len(groups)}; expected one each; export it again"
            )
        shared = header.get("SharedFunctionalGroupsSequence") or [{}]
        return [_read_enhanced_frame(file, k, shared[0], group) for k, group in enumerate(groups[:count])]
    orientation, position = (
        _read_header_floats(header, "ImageOrientationPatient", 6),
        _read_header_floats(header, "ImagePositionPatient", 3),
    )
    pixel = _read_header_floats(header, "PixelSpacing", 2)
    pixel = _read_header_floats(header, "ImagerPixelSpacing", 2) if pixel is None else pixel
    if pixel is None and (calibrated := find_ultrasound_spacing(header)) is not None:
        pixel = np.array(calibrated)
    pair = (1.0, 1.0) if pixel is None else (float(pixel[0]), float(pixel[1]))
    slope, inter = float(header.get("RescaleSlope") or 1), float(header.get("RescaleIntercept") or 0)
    if "DoseGridScaling" in header:
        slope, inter = float(header.DoseGridScaling), 0.0
    offsets = _read_header_floats(header, "GridFrameOffsetVector", count)
    places: list[Affine | None] = [position] * count
    if offsets is not None and position is not None and orientation is not None:
        normal = np.cross(orientation[:3], orientation[3:])
        # The standard allows offsets that begin at 0 or at the first frame's own z; the difference covers both.
        places = [position + normal * (o - offsets[0]) for o in offsets]
    known = pixel is not None
    return [DicomFrame(file, k, places[k], orientation, pair, slope, inter, known) for k in range(count)]


def count_dicom_frames(header: Any) -> int:
    """Return how many frames a header claims; 1 where it does not say."""
    return int(header.get("NumberOfFrames") or 1)


def _read_enhanced_frame(file: Path, number: int, shared: Any, group: Any) -> DicomFrame:
    """Read one frame of an enhanced file. What its own group does not say is taken from the shared group."""

    def item(name: str) -> Any:
        items = group.get(name) or shared.get(name)
        return items[0] if items else {}

    pixel = _read_header_floats(item("PixelMeasuresSequence"), "PixelSpacing", 2)
    values = item("PixelValueTransformationSequence")
    return DicomFrame(
        file,
        number,
        _read_header_floats(item("PlanePositionSequence"), "ImagePositionPatient", 3),
        _read_header_floats(item("PlaneOrientationSequence"), "ImageOrientationPatient", 6),
        (1.0, 1.0) if pixel is None else (float(pixel[0]), float(pixel[1])),
        float(values.get("RescaleSlope") or 1),
        float(values.get("RescaleIntercept") or 0),
        pixel is not None,
    )


def _read_header_floats(item: Any, name: str, count: int) -> Affine | None:
    """Read a header field of exactly `count` numbers; None where it is missing or has another length."""
    value = item.get(name)
    return None if value is None or len(value) != count else np.array([float(v) for v in value])


def read_slice_step(header: Any) -> float:
    """Return the thickness in mm to assume for a single slice, which has no neighbor to measure a distance to."""
    return float(header.get("SpacingBetweenSlices") or header.get("SliceThickness") or 1.0)


def order_frames(path: Path, frames: list[DicomFrame], thickness: float) -> tuple[list[int], Affine]:
    """Sort the slices along their normal. Returns their order and the RAS affine of columns, rows, slices.

    Stacks with uneven steps, two slices at one place, or a tilt are refused.

    Args:
        path: for error messages.
        thickness: of a slice in mm, used only when there is a single one.
    """
    first = frames[0]
    if first.position is None or first.orientation is None:
        if len(frames) > 1:
            raise PolytaskError(
                f"{path}: {len(frames)} slices without positions; expected ImagePositionPatient; convert it"
            )
        return [0], RASTER_AFFINE @ _SWAP_ROWS_COLUMNS @ np.diag([first.pixel[1], first.pixel[0], 1.0, 1.0])
    if any(f.position is None or f.orientation is None for f in frames):
        raise PolytaskError(f"{path}: some slices lack their position; expected ImagePositionPatient in each")
    orientations = [f.orientation for f in frames if f.orientation is not None]
    turned = max(float(np.abs(own - first.orientation).max()) for own in orientations)
    if turned > 1e-3 or any(f.pixel != first.pixel for f in frames):
        raise PolytaskError(
            f"{path}: slices differ in orientation or pixel spacing (a localiser?); expected one stack; remove it"
        )
    row, column = first.orientation[:3], first.orientation[3:]
    normal = np.cross(row, column)
    positions = np.stack([f.position for f in frames if f.position is not None])
    heights = positions @ normal
    order = [int(k) for k in np.argsort(heights, kind="stable")]
    step = normal * (thickness if thickness > 0 else 1.0)
    if len(frames) > 1:
        gaps, last = np.diff(heights[order]), positions[order[-1]]
        if gaps.min() < 1e-3:
            raise PolytaskError(
                f"{path}: two slices lie at one place (several phases?); expected one each; split the series"
            )
        # The median, because one missing slice would also change the mean.
        middle = float(np.median(gaps))
        if np.abs(gaps - middle).max() > max(MAX_STEP_VARIATION * middle, 0.01):
            raise PolytaskError(
                f"{path}: slice steps vary from {gaps.min():.3f} to {gaps.max():.3f} mm (a slice is missing?); "
                "expected even steps; complete the series"
            )
        # First to last slice: positions are often rounded, and a single gap would multiply the error.
        step = (last - positions[order[0]]) / (len(frames) - 1)
        if np.linalg.norm(step - normal * (step @ normal)) > MAX_SLICE_TILT * (step @ normal):
            raise PolytaskError(
                f"{path}: the slices are sheared (gantry tilt); expected a straight stack; resample it first"
            )
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = row * first.pixel[1], column * first.pixel[0], step
    affine[:3, 3] = positions[order[0]]
    return order, LPS_TO_RAS @ affine
