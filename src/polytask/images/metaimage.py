"""Read and write MetaImage: MHA, or MHD with one data file beside it; other than raw or zlib voxels by SimpleITK."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from polytask.errors import PolytaskError
from polytask.images.file_axes import LPS_TO_RAS, build_affine
from polytask.images.safe_files import find_data_file, write_atomically
from polytask.images.volume import ImageInfo, Volume
from polytask.images.voxel_block import VoxelBlock, convert_to_file_order, load_block, verify_block

MAX_METAIMAGE_HEADER = 1 << 16
METAIMAGE_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}


def probe_metaimage(path: Path, dims: int, limit: int | None = None) -> ImageInfo:
    """Read grid, channels and type from the header."""
    return verify_block(_read_metaimage_block(path), dims, limit)


def read_metaimage(path: Path, dims: int, limit: int | None = None) -> Volume:
    """Read the voxels `[C, *space]`; a fourth axis or ElementNumberOfChannels becomes the channels."""
    return load_block(_read_metaimage_block(path), dims, limit)


def write_metaimage(path: Path, volume: Volume) -> None:
    """Write one `.mha` file with zlib voxels and an LPS affine; a 2D image is stored as H×W×1."""
    stored = convert_to_file_order(volume)
    affine = LPS_TO_RAS @ volume.grid.affine
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    body = zlib.compress(stored.tobytes("F"), 1)

    def numbers(values: np.typing.ArrayLike) -> str:
        return " ".join(repr(float(v)) for v in np.ravel(values))

    fields = {
        "ObjectType": "Image",
        "NDims": 3,
        "BinaryData": True,
        "BinaryDataByteOrderMSB": False,
        "CompressedData": True,
        "CompressedDataSize": len(body),
        "TransformMatrix": numbers((affine[:3, :3] / spacing).T),
        "Offset": numbers(affine[:3, 3]),
        "CenterOfRotation": "0 0 0",
        "AnatomicalOrientation": "RAI",
        "ElementSpacing": numbers(spacing),
        "DimSize": " ".join(str(n) for n in stored.shape[1:]),
        "ElementNumberOfChannels": stored.shape[0],
        # Two names can stand for one type; the first of the table is written (MET_INT, not MET_LONG).
        "ElementType": next(name for name, code in METAIMAGE_TYPES.items() if code == stored.dtype.str[1:]),
        "ElementDataFile": "LOCAL",
    }
    with write_atomically(path) as file:
        file.write("".join(f"{k} = {v}\n" for k, v in fields.items()).encode() + body)


def _read_metaimage_block(path: Path) -> VoxelBlock:
    """Read the header as a block; every way in which a header can be wrong ends in one line."""
    fields, end = _read_metaimage_fields(path)
    try:
        with np.errstate(all="ignore"):  # numbers of a damaged header; the affine is checked later
            return _parse_metaimage_fields(path, fields, end)
    except (KeyError, ValueError, IndexError, OverflowError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise PolytaskError(
            f"{path}: not a valid MetaImage header ({reason}); export the file again"
        ) from None


def _read_metaimage_fields(path: Path) -> tuple[dict[str, str], int]:
    """Read the header's fields (keys in lower case) and the byte where the header ends, after ElementDataFile."""
    with path.open("rb") as file:
        head = file.read(MAX_METAIMAGE_HEADER)
    fields, place = {}, 0
    for line in head.splitlines(keepends=True):
        name, equals, value = line.decode("utf-8", "replace").partition("=")
        if not equals or not name.strip().isidentifier():
            break
        place += len(line)
        fields[name.strip().lower()] = value.strip()
        if name.strip().lower() == "elementdatafile":
            return fields, place
    raise PolytaskError(
        f"{path}: not a MetaImage file; expected a header that ends with ElementDataFile; export it again"
    )


def _parse_metaimage_fields(path: Path, fields: dict[str, str], end: int) -> VoxelBlock:
    """Make a block of the header's fields; `end` is the byte at which the header ends."""
    count, named = int(fields["ndims"]), fields["elementdatafile"]
    sizes = [int(n) for n in fields["dimsize"].split()]
    if len(sizes) != count or count not in (2, 3, 4):
        raise ValueError(f"NDims {count} with {len(sizes)} sizes; expected 2 to 4")
    code = METAIMAGE_TYPES.get(fields["elementtype"].upper().removesuffix("_ARRAY"))
    if code is None:
        raise ValueError(f"ElementType {fields['elementtype']!r} is not a number type")
    vector = int(fields.get("elementnumberofchannels", 1))
    if vector != 1 and count == 4:
        raise ValueError("a fourth axis and several channels; expected one of the two")
    swapped = fields.get("binarydatabyteordermsb", fields.get("elementbyteordermsb", "False"))
    plain, deflated = (
        _is_true(fields.get("binarydata", "True")),
        _is_true(fields.get("compresseddata", "False")),
    )
    skip, local = int(fields.get("headersize", 0)), named.upper() == "LOCAL"
    if named.upper().startswith("LIST") or "%" in named:
        raise ValueError("the voxels lie in several files; expected one")
    return VoxelBlock(
        path,
        path if local else find_data_file(path, named),
        np.dtype((">" if _is_true(swapped) else "<") + code),
        tuple(sizes[:3]),
        LPS_TO_RAS @ _read_metaimage_affine(fields, count),
        channels=sizes[3] if count == 4 else vector,
        interleaved=vector > 1,
        deflated=deflated,
        # HeaderSize -1 means that the voxels are the last bytes of the file.
        skip=-1 if skip < 0 else (end if local else 0) + skip,
        foreign="" if plain else "MetaImage text",
        physical="elementspacing" in fields or "elementsize" in fields,
    )


def _read_metaimage_affine(fields: dict[str, str], count: int) -> np.typing.NDArray[np.float64]:
    """Read the LPS affine; the file lists the direction of one axis after the other, so rows here are axes."""

    def numbers(*names: str, default: list[float]) -> list[float]:
        text = next((fields[n] for n in names if n in fields), None)
        values = default if text is None else [float(w) for w in text.split()]
        if len(values) != len(default):
            raise ValueError(f"{names[0]} has {len(values)} numbers; expected {len(default)}")
        return values

    matrix = numbers("transformmatrix", "rotation", "orientation", default=list(np.eye(count).ravel()))
    spacing = numbers("elementspacing", "elementsize", default=[1.0] * count)
    offset = numbers("offset", "position", "origin", default=[0.0] * count)
    used = min(count, 3)
    rows = np.reshape(matrix, (count, count))[:used, :used] * np.array(spacing[:used])[:, None]
    vectors = [np.array((*row, 0.0)[:3]) for row in rows]
    return build_affine(vectors, np.array((*offset[:used], 0.0)[:3]))


def _is_true(text: str) -> bool:
    """Whether a word of the header means yes."""
    return text.strip().lower() in ("true", "1", "t")
