"""Make one stack of a DICOM series: check that its files agree, and convert stored numbers to real values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from polytask.errors import PolytaskError
from polytask.images.dicom_frames import (
    DicomFrame,
    count_dicom_frames,
    list_dicom_frames,
    order_frames,
    read_slice_step,
)
from polytask.images.size_limits import check_array_size
from polytask.images.volume import Affine, Array

UNCOMPRESSED_SYNTAXES = ("", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
"""Transfer syntaxes that store pixels uncompressed."""
MAX_DICOM_PACKING = 4_096
"""Largest believable ratio of pixel bytes to file bytes: no codec of DICOM packs medical images more tightly."""


@dataclass(frozen=True)
class DicomStack:
    """The slices of one series in their order along the normal, and what is common to them.

    Args:
        affine: RAS, of the axes columns, rows, slices.
        span: smallest and largest number that can be stored.
        dtype: of the real values: a whole-number type when every factor is whole, uint8 for color, else float32.
        invert: whether large stored numbers are dark (MONOCHROME1).
    """

    frames: tuple[DicomFrame, ...]
    rows: int
    columns: int
    channels: int
    affine: Affine
    span: tuple[int, int]
    dtype: np.dtype[np.generic]
    invert: bool

    @property
    def measured(self) -> bool:
        """Whether the files say how large a pixel is."""
        return all(frame.measured for frame in self.frames)

    def to_real_values(self, stored: Array, frame: DicomFrame) -> Array:
        """Convert the stored numbers of one frame to real values of type `dtype`."""
        if self.channels > 1:
            return stored
        values: Any = stored
        if self.dtype.kind in "iu":
            # int64, because sum and product may not fit into the stored type.
            values = values.astype(np.int64)
            values = sum(self.span) - values if self.invert else values
            return np.asarray(values * int(frame.slope) + int(frame.inter)).astype(self.dtype)
        values = sum(self.span) - values.astype(np.float64) if self.invert else values.astype(np.float64)
        return np.asarray(values * frame.slope + frame.inter).astype(np.float32)


def build_dicom_stack(path: Path, headers: dict[Path, Any], limit: int | None = None) -> DicomStack:
    """Check that the files form one regular stack, and order it along its normal.

    Args:
        path: for error messages.
        headers: file → its header.
        limit: bytes that the image may take, see `size_limits`.
    """
    first = next(iter(headers.values()))
    for name in ("Rows", "Columns", "PhotometricInterpretation", "BitsStored", "PixelRepresentation"):
        values = {str(h.get(name)) for h in headers.values()}
        if len(values) > 1:
            raise PolytaskError(
                f"{path}: slices differ in {name} ({', '.join(sorted(values))}); expected one; split the series"
            )
    _refuse_mixed_series(path, headers.values())
    _check_claimed_sizes(path, headers, limit)
    frames = [frame for file, header in headers.items() for frame in list_dicom_frames(file, header)]
    order, affine = order_frames(path, frames, read_slice_step(first))
    frames = [frames[k] for k in order]
    photometric, channels = str(first.PhotometricInterpretation), int(first.get("SamplesPerPixel", 1))
    if photometric.startswith("PALETTE") or any("ModalityLUTSequence" in h for h in headers.values()):
        raise PolytaskError(
            f"{path}: pixels go through a lookup table; expected plain values; convert the file"
        )
    bits, signed = int(first.get("BitsStored", 32)), int(first.get("PixelRepresentation", 0)) == 1
    span = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    whole = "FloatPixelData" not in first and "BitsStored" in first
    dtype = np.dtype(np.uint8) if channels > 1 and bits <= 8 else _choose_value_type(frames, span, whole)
    invert = photometric == "MONOCHROME1"
    return DicomStack(
        tuple(frames), int(first.Rows), int(first.Columns), channels, affine, span, dtype, invert
    )


def _refuse_mixed_series(path: Path, headers: Collection[Any]) -> None:
    """Refuse slices of several patients or frames of reference in one series. Headers that do not say are skipped."""
    asked = {
        "PatientID": "patients",
        "PatientBirthDate": "patients",
        "FrameOfReferenceUID": "frames of reference",
    }
    for name, what in asked.items():
        counts = Counter(text for h in headers if (text := str(h.get(name) or "").strip()))
        if len(counts) > 1:
            parts = " and ".join(str(n) for _, n in counts.most_common())
            raise PolytaskError(
                f"{path}: holds slices of {len(counts)} {what} by their {name} ({parts} files); "
                "expected one; part the series into folders"
            )


def _check_claimed_sizes(path: Path, headers: dict[Path, Any], limit: int | None) -> None:
    """Refuse headers that claim more pixels than allowed, or than their files can hold, before memory is taken."""
    total = 0
    for file, header in headers.items():
        rows, columns, frames = int(header.Rows), int(header.Columns), count_dicom_frames(header)
        channels, allocated = int(header.get("SamplesPerPixel", 1)), int(header.get("BitsAllocated", 8))
        if not 1 <= int(header.get("BitsStored", 32)) <= 64 or not 1 <= allocated <= 64:
            raise PolytaskError(
                f"{file}: pixels of no possible size in bits; expected 1 to 64; export it again"
            )
        kind = (
            np.dtype(f"u{max(1, -(-allocated // 8))}") if allocated in (8, 16, 32, 64) else np.dtype(np.uint8)
        )
        size = check_array_size(file, (rows, columns, frames, channels), kind, limit)
        # Uncompressed pixels take their full size in the file; one byte holds eight pixels of one bit.
        packed = str(header.file_meta.get("TransferSyntaxUID", "")) not in UNCOMPRESSED_SYNTAXES
        if size > file.stat().st_size * (MAX_DICOM_PACKING if packed else 8 if allocated == 1 else 1):
            raise PolytaskError(
                f"{file}: truncated: header claims {size} bytes of pixels, but the file is "
                f"{file.stat().st_size} bytes; copy the file again"
            )
        total += frames
    first = next(iter(headers.values()))
    check_array_size(path, (int(first.Rows), int(first.Columns), total), np.dtype(np.uint8), limit)


def _choose_value_type(frames: list[DicomFrame], span: tuple[int, int], whole: bool) -> np.dtype[np.generic]:
    """Choose the smallest whole-number type that holds every real value, or float32.

    Args:
        span: smallest and largest number that can be stored.
        whole: whether the file stores whole numbers.
    """
    if not whole or any(f.slope != int(f.slope) or f.inter != int(f.inter) for f in frames):
        return np.dtype(np.float32)
    # Limits come from the stored range and not from the voxels, so that probing and reading name the same type.
    ends = [v * int(f.slope) + int(f.inter) for f in frames for v in span]
    for name in ("uint8", "int16", "int32"):
        if np.iinfo(name).min <= min(ends) and max(ends) <= np.iinfo(name).max:
            return np.dtype(name)
    return np.dtype(np.float32)
