"""Read and write NRRD: raw or gzip voxels, in the same file or one beside it; other encodings through SimpleITK."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np

from polytask.errors import PolytaskError
from polytask.images.file_axes import LPS_TO_RAS, build_affine
from polytask.images.safe_files import find_data_file, write_atomically
from polytask.images.volume import Affine, ImageInfo, Volume
from polytask.images.voxel_block import VoxelBlock, convert_to_file_order, load_block, verify_block

MAX_NRRD_HEADER = 1 << 20
AXIS_FIELDS = ("sizes", "spacedirections", "spaceorigin", "spacings", "kinds")
MAX_AXIS_FIELD = 2_000
"""Most characters of a field with a few numbers for each axis. In a field of a million open brackets, the search for
the end of each one would take days."""
_NRRD_TYPE_NAMES = {
    "i1": "signed char, int8, int8_t",
    "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float",
    "f8": "double",
}
NRRD_TYPES = {name: code for code, names in _NRRD_TYPE_NAMES.items() for name in names.split(", ")}
_SPACE_TO_RAS = {
    "right-anterior-superior": np.eye(4),
    "ras": np.eye(4),
    "left-anterior-superior": np.diag([-1.0, 1, 1, 1]),
    "las": np.diag([-1.0, 1, 1, 1]),
}
_NATIVE_ENCODINGS = {"raw": False, "gzip": True, "gz": True}
_SIMPLEITK_ENCODINGS = ("ascii", "text", "txt", "hex", "bzip2", "bz2")
"""Encodings that SimpleITK reads. No other word is passed to it, because a long word overwrites its memory."""


def probe_nrrd(path: Path, dims: int, limit: int | None = None) -> ImageInfo:
    """Read grid, channels and type from the header."""
    return verify_block(_read_nrrd_block(path), dims, limit)


def read_nrrd(path: Path, dims: int, limit: int | None = None) -> Volume:
    """Read the voxels `[C, *space]`; an axis that is not space (vector, list, time) becomes the channels."""
    return load_block(_read_nrrd_block(path), dims, limit)


def write_nrrd(path: Path, volume: Volume) -> None:
    """Write one file with its header, gzip voxels and an LPS affine; a 2D image is stored as H×W×1.

    Several channels become the first axis, of kind `vector`.
    """
    stored = convert_to_file_order(volume)
    affine = LPS_TO_RAS @ volume.grid.affine
    rows = [",".join(repr(float(v)) for v in affine[:3, c]) for c in range(4)]
    vectors, kinds, sizes = [f"({r})" for r in rows[:3]], ["domain"] * 3, stored.shape[1:]
    if stored.shape[0] > 1:
        vectors, kinds, sizes = ["none", *vectors], ["vector", *kinds], stored.shape
    fields = {
        "type": next(
            n for n, code in NRRD_TYPES.items() if code == stored.dtype.str[1:] and n != "signed char"
        ),
        "dimension": len(sizes),
        "space": "left-posterior-superior",
        "sizes": " ".join(map(str, sizes)),
        "space directions": " ".join(vectors),
        "kinds": " ".join(kinds),
        "endian": "little",
        "encoding": "gzip",
        "space origin": f"({rows[3]})",
    }
    with write_atomically(path) as file:
        file.write(("NRRD0005\n" + "".join(f"{k}: {v}\n" for k, v in fields.items()) + "\n").encode())
        with gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as stream:
            stream.write(stored.tobytes("F"))


def _read_nrrd_block(path: Path) -> VoxelBlock:
    """Read the header as a block; every way in which a header can be wrong ends in one line."""
    fields, end = _read_nrrd_fields(path)
    try:
        with np.errstate(all="ignore"):  # numbers of a damaged header; the affine is checked later
            return _parse_nrrd_fields(path, fields, end)
    except (KeyError, ValueError, IndexError, OverflowError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise PolytaskError(f"{path}: not a valid NRRD header ({reason}); export the file again") from None


def _read_nrrd_fields(path: Path) -> tuple[dict[str, str], int]:
    """Read the header's fields (keys in lower case, without spaces) and the byte where the header ends."""
    with path.open("rb") as file:
        head = file.read(MAX_NRRD_HEADER)
    if not head.startswith(b"NRRD"):
        raise PolytaskError(f"{path}: not an NRRD file; expected NRRD content; export the file again")
    stop = re.search(rb"\n\r?\n", head)
    text = head[: stop.end() if stop else len(head)].decode("utf-8", "replace")
    pairs = re.findall(r"^([A-Za-z][A-Za-z ]*): ?(.*?)\r?$", text, re.MULTILINE)
    fields = {name.lower().replace(" ", ""): value.strip() for name, value in pairs}
    if stop is None and "datafile" not in fields:
        raise PolytaskError(f"{path}: the NRRD header does not end; expected an empty line before the voxels")
    return fields, stop.end() if stop else len(head)


def _parse_nrrd_fields(path: Path, fields: dict[str, str], end: int) -> VoxelBlock:
    """Make a block of the header's fields; `end` is the byte at which the header ends."""
    for name, value in fields.items():
        if name in AXIS_FIELDS and len(value) > MAX_AXIS_FIELD:
            raise ValueError(f"the field {name} has {len(value)} characters")
    sizes = [int(n) for n in fields["sizes"].split()]
    if len(sizes) != int(fields["dimension"]):
        raise ValueError(f"{fields['dimension']} dimensions but {len(sizes)} sizes")
    code = NRRD_TYPES.get(fields["type"].lower())
    if code is None:
        raise ValueError(f"type {fields['type']!r} is not a number type")
    order = ">" if fields.get("endian", "little").lower() == "big" else "<"
    space, affine = _read_space_axes(fields, len(sizes))
    other = [axis for axis in range(len(sizes)) if axis not in space]
    if len(space) not in (2, 3) or len(other) > 1 or (other and other[0] not in (0, len(sizes) - 1)):
        raise ValueError(
            f"{len(space)} space axes of {len(sizes)}; expected 2 or 3 and at most one other, first or last"
        )
    encoding = fields.get("encoding", "raw").lower()
    if encoding not in (*_NATIVE_ENCODINGS, *_SIMPLEITK_ENCODINGS):
        raise ValueError(f"encoding {encoding[:40]!r} is unknown")
    plain = encoding in _NATIVE_ENCODINGS and int(fields.get("lineskip", 0)) == 0
    if not plain and max(map(len, fields.values())) > MAX_AXIS_FIELD:
        raise ValueError("a field has too many characters")
    skip, named = int(fields.get("byteskip", 0)), fields.get("datafile")
    deflated = plain and _NATIVE_ENCODINGS[encoding]
    return VoxelBlock(
        path,
        find_data_file(path, named) if named else path,
        np.dtype(order + code),
        tuple(sizes[axis] for axis in space),
        affine,
        channels=sizes[other[0]] if other else 1,
        interleaved=other == [0],
        deflated=deflated,
        # `byte skip` counts inflated bytes in a gzip stream, and bytes of the file otherwise.
        skip=-1 if skip < 0 else (0 if named else end) + (0 if deflated else skip),
        offset=skip if deflated else 0,
        physical="spacedirections" in fields or "spacings" in fields,
        foreign="" if plain else f"NRRD encoding {encoding}",
    )


def _read_space_axes(fields: dict[str, str], count: int) -> tuple[list[int], Affine]:
    """Find which axes are space, and their RAS affine. A file without the field `space` counts as LPS, as in ITK."""
    kinds = (fields.get("kinds", "").lower().split() + ["?"] * count)[:count]
    space = [axis for axis, kind in enumerate(kinds) if kind in ("domain", "space", "?", "???", "none")]
    if "spacedirections" in fields:
        words = re.findall(r"none|\([^)]*\)", fields["spacedirections"].lower())
        if len(words) != count:
            raise ValueError(f"{count} dimensions but {len(words)} space directions")
        space = [axis for axis, word in enumerate(words) if word != "none"]
        vectors = [_parse_vector(words[axis]) for axis in space]
    else:
        space = space[:3]
        spacings = [float(w) for w in fields.get("spacings", "").split()] or [1.0] * count
        vectors = [np.eye(3)[k] * spacings[axis] for k, axis in enumerate(space)]
    origin = _parse_vector(fields["spaceorigin"]) if "spaceorigin" in fields else np.zeros(3)
    flip = _SPACE_TO_RAS.get(fields.get("space", "").lower(), LPS_TO_RAS)
    return space, flip @ build_affine(vectors, origin)


def _parse_vector(text: str) -> Affine:
    """Parse a vector such as `(1,0,0)` into three numbers; a vector of two numbers gets 0 as the third."""
    numbers = [float(w) for w in text.strip("() ").split(",")]
    if len(numbers) not in (2, 3):
        raise ValueError(f"vector {text}: expected 2 or 3 numbers")
    return np.array((*numbers, 0.0)[:3], np.float64)
