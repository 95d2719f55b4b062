"""Read and write NIfTI-1 and NIfTI-2, plain or gzipped. nibabel parses the header; voxels have a size limit."""

from __future__ import annotations

import gzip
import logging
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from polytask.errors import PolytaskError
from polytask.images.safe_files import write_atomically
from polytask.images.volume import Affine, ImageInfo, NiftiPlacements, Volume
from polytask.images.voxel_block import VoxelBlock, convert_to_file_order, load_block, verify_block

_SILENT_LOGGER = logging.Logger(
    "polytask.nifti", level=logging.CRITICAL
)  # nibabel would report on stderr what it repaired
_MILLIMETERS_PER_UNIT = {"meter": 1000.0, "micron": 0.001}


def probe_nifti(path: Path, dims: int, limit: int | None = None) -> ImageInfo:
    """Read grid, channels and type from the header."""
    return verify_block(_read_nifti_block(path), dims, limit)


def read_nifti(path: Path, dims: int, limit: int | None = None) -> Volume:
    """Read the voxels, as float32 when `scl_slope` scales them; the axis beyond space becomes the channels."""
    return load_block(_read_nifti_block(path), dims, limit)


def write_nifti(path: Path, volume: Volume) -> None:
    """Write a 3-D file for one channel, a 4-D file for several; a 2D image is stored as H×W×1.

    The affine goes into sform and qform. A volume on the grid of a NIfTI file gets both as that file has them, so
    that every program places the two files alike.
    """
    import nibabel

    nib: Any = nibabel
    data = np.moveaxis(convert_to_file_order(volume), 0, -1)
    if data.shape[-1] == 1:
        data = data[..., 0]
    # NIfTI-1 keeps the length of an axis in 16 signed bits.
    kind = nib.Nifti2Image if max(data.shape) > 32_767 else nib.Nifti1Image
    image = kind(data, None, dtype=data.dtype)  # with an affine here, nibabel would set both forms by it
    forms = volume.grid.forms or NiftiPlacements(volume.grid.affine, 1, volume.grid.affine, 1)
    image.set_sform(forms.sform, code=forms.sform_code)
    image.set_qform(forms.qform, code=forms.qform_code)
    image.header.set_xyzt_units("mm")
    with write_atomically(path) as file:
        if path.name.lower().endswith(".gz"):
            # Without name and time in its header, equal volumes give equal bytes.
            with gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as stream:
                image.to_stream(stream)
        else:
            image.to_stream(file)


def _read_nifti_block(path: Path) -> VoxelBlock:
    """Read the header as a block; every way in which a header can be wrong ends in one line."""
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    try:
        with np.errstate(all="ignore"):
            return _parse_nifti_header(path, _read_nifti_header(path))
    except (HeaderDataError, WrapStructError, OverflowError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise PolytaskError(f"{path}: not a valid NIfTI header ({reason}); export the file again") from None


def _read_nifti_header(path: Path) -> Any:
    """Read the header alone, as an object of nibabel; of a gzipped file only its first bytes are inflated."""
    import nibabel

    nib: Any = nibabel
    deflated = path.name.lower().endswith(".gz")
    with path.open("rb") as file:
        head = file.read(1 << 16 if deflated else 540)
    if deflated:
        try:
            head = zlib.decompressobj(31).decompress(head, 540)
        except zlib.error:
            raise PolytaskError(
                f"{path}: not a gzip file although its name says so; expected .nii.gz; rename or export it again"
            ) from None
    for kind, size, magic in ((nib.Nifti1Header, 348, slice(344, 348)), (nib.Nifti2Header, 540, slice(4, 8))):
        if len(head) >= size and head[magic] in (b"n+1\0", b"n+2\0"):
            header = kind(head[:size], check=False)
            header.check_fix(logger=_SILENT_LOGGER, error_level=40)
            return header
    raise PolytaskError(f"{path}: not a NIfTI file; expected .nii or .nii.gz content; export the file again")


def _parse_nifti_header(path: Path, header: Any) -> VoxelBlock:
    """Make a block of a header of nibabel, and refuse types and shapes that are no image."""
    shape = tuple(int(n) for n in header.get_data_shape())
    if not 1 <= len(shape) <= 7 or min(shape) < 1:
        raise ValueError(
            f"dim says {[int(n) for n in header['dim']]}; expected 1 to 7 axes, each 1 or longer"
        )
    dtype, interleaved, keep = header.get_data_dtype(), False, 0
    if dtype.names:  # RGB24 and RGBA32
        channels, dtype, interleaved, keep = len(dtype.names), np.dtype(np.uint8), True, 3
        extra = shape[3:]
    else:
        extra, channels = shape[3:], int(np.prod([1, *shape[3:]], dtype=np.float64))
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise PolytaskError(
            f"{path}: voxels are {dtype.name}; expected whole numbers, float32 or float64; convert it"
        )
    if sum(n != 1 for n in extra) > (0 if interleaved else 1):
        shape_text = "×".join(str(n) for n in shape)
        raise PolytaskError(
            f"{path}: has the shape {shape_text}; expected one axis beyond space at most; split the file"
        )
    slope, inter = header.get_slope_inter()
    # A factor that changes nothing is dropped, so that whole numbers stay whole numbers.
    if slope is not None and (float(slope), float(inter)) == (1.0, 0.0):
        slope = None
    unit = np.diag([*[_MILLIMETERS_PER_UNIT.get(header.get_xyzt_units()[0], 1.0)] * 3, 1.0])
    return VoxelBlock(
        path,
        path,
        dtype,
        shape[:3],
        unit @ header.get_best_affine(),
        channels,
        interleaved=interleaved,
        keep=keep,
        deflated=path.name.lower().endswith(".gz"),
        offset=int(header.get_data_offset()),
        slope=None if slope is None else float(slope),
        inter=float(inter or 0.0),
        forms=_read_forms(header, unit),
    )


def _read_forms(header: Any, unit: Affine) -> NiftiPlacements | None:
    """Read both placements (sform and qform) in mm; None where the header's quaternion cannot be read."""
    try:
        qform = unit @ header.get_qform()
    except (ValueError, ArithmeticError):  # an unreadable qform; the sform alone places the file
        return None
    sform = unit @ header.get_sform()
    if not (np.isfinite(sform).all() and np.isfinite(qform).all()):
        return None
    return NiftiPlacements(sform, int(header["sform_code"]), qform, int(header["qform_code"]))
