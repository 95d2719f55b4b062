"""A DICOM series as one stack: consistent files, type of the values, stored numbers to real ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from polytask.errors import PolytaskError
from polytask.images.dicom_frames import Frame, count_frames, frames_of, ordered, thickness_of
from polytask.images.limits import check_size
from polytask.images.volume import Affine, Array

STORED = ("", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
"""Transfer syntaxes whose pixels lie in the file as they are."""
RATIO = 4_096
"""No codec of DICOM packs medical images more tightly."""


@dataclass(frozen=True)
class Stack:
    """A series in order.

    Args:
        affine: RAS, of the axes columns, rows, slices.
        span: smallest and largest stored number.
        dtype: of the real values: int16 or int32 when every factor is whole, uint8 for colour, else float32.
        invert: MONOCHROME1.
    """

    frames: tuple[Frame, ...]
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

    def real(self, stored: Array, frame: Frame) -> Array:
        """Real values of one frame."""
        if self.channels > 1:
            return stored
        values: Any = stored
        if self.dtype.kind in "iu":
            values = values.astype(np.int64)
            values = sum(self.span) - values if self.invert else values
            return np.asarray(values * int(frame.slope) + int(frame.inter)).astype(self.dtype)
        values = sum(self.span) - values.astype(np.float64) if self.invert else values.astype(np.float64)
        return np.asarray(values * frame.slope + frame.inter).astype(np.float32)


def stack_of(path: Path, headers: dict[Path, Any], limit: int | None = None) -> Stack:
    """Check that the files form one regular stack, and order it along its normal.

    Args:
        limit: bytes that the image may take, see `limits`.
    """
    first = next(iter(headers.values()))
    for name in ("Rows", "Columns", "PhotometricInterpretation", "BitsStored", "PixelRepresentation"):
        found = {str(h.get(name)) for h in headers.values()}
        if len(found) > 1:
            raise PolytaskError(
                f"{path}: slices differ in {name} ({', '.join(sorted(found))}); expected one; split the series"
            )
    _refuse_mixture(path, headers.values())
    _check_claims(path, headers, limit)
    frames = [frame for file, header in headers.items() for frame in frames_of(file, header)]
    order, affine = ordered(path, frames, thickness_of(first))
    frames = [frames[k] for k in order]
    photometric, channels = str(first.PhotometricInterpretation), int(first.get("SamplesPerPixel", 1))
    if photometric.startswith("PALETTE") or any("ModalityLUTSequence" in h for h in headers.values()):
        raise PolytaskError(
            f"{path}: pixels go through a lookup table; expected plain values; convert the file"
        )
    bits, signed = int(first.get("BitsStored", 32)), int(first.get("PixelRepresentation", 0)) == 1
    span = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    whole = "FloatPixelData" not in first and "BitsStored" in first
    dtype = np.dtype(np.uint8) if channels > 1 and bits <= 8 else _dtype(frames, span, whole)
    invert = photometric == "MONOCHROME1"
    return Stack(tuple(frames), int(first.Rows), int(first.Columns), channels, affine, span, dtype, invert)


def _refuse_mixture(path: Path, headers: Collection[Any]) -> None:
    """Slices of one series belong to one patient and lie in one frame of reference; who does not say is not asked."""
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


def _check_claims(path: Path, headers: dict[Path, Any], limit: int | None) -> None:
    """Refuse headers that claim more pixels than may be, or than their files can hold, before a frame is made."""
    total = 0
    for file, header in headers.items():
        rows, columns, frames = int(header.Rows), int(header.Columns), count_frames(header)
        channels, allocated = int(header.get("SamplesPerPixel", 1)), int(header.get("BitsAllocated", 8))
        if not 1 <= int(header.get("BitsStored", 32)) <= 64 or not 1 <= allocated <= 64:
            raise PolytaskError(
                f"{file}: pixels of no possible size in bits; expected 1 to 64; export it again"
            )
        kind = (
            np.dtype(f"u{max(1, -(-allocated // 8))}") if allocated in (8, 16, 32, 64) else np.dtype(np.uint8)
        )
        size = check_size(file, (rows, columns, frames, channels), kind, limit)
        packed = str(header.file_meta.get("TransferSyntaxUID", "")) not in STORED
        if size > file.stat().st_size * (RATIO if packed else 8 if allocated == 1 else 1):
            raise PolytaskError(
                f"{file}: truncated: header claims {size} bytes of pixels, but the file is "
                f"{file.stat().st_size} bytes; copy the file again"
            )
        total += frames
    first = next(iter(headers.values()))
    check_size(path, (int(first.Rows), int(first.Columns), total), np.dtype(np.uint8), limit)


def _dtype(frames: list[Frame], span: tuple[int, int], whole: bool) -> np.dtype[np.generic]:
    if not whole or any(f.slope != int(f.slope) or f.inter != int(f.inter) for f in frames):
        return np.dtype(np.float32)
    ends = [v * int(f.slope) + int(f.inter) for f in frames for v in span]
    for name in ("uint8", "int16", "int32"):
        if np.iinfo(name).min <= min(ends) and max(ends) <= np.iinfo(name).max:
            return np.dtype(name)
    return np.dtype(np.float32)
