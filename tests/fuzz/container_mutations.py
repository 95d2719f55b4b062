"""Mutations of what is packed inside a file: members of a zip, a gzip stream, elements of DICOM, tags of TIFF."""

from __future__ import annotations

import gzip
import io
import struct
import warnings
import zipfile
from typing import Any

from tests.fuzz.byte_mutations import EXTREME_NUMBERS, Rng, choose_bytes, mutate_bytes

PICKLE_OPCODES = [
    *(
        b"(",
        b")",
        b"t",
        b"}",
        b"0",
        b"\x85",
        b"\x86",
        b"\x87",
        b"s",
        b"u",
        b"R",
        b"Q",
        b"h\x00",
        b"q\x00",
        b"K\xff",
        b"N",
    ),
    *(
        b"cos\nsystem\n",
        b"ctorch\nFloatStorage\n",
        b"ccollections\nOrderedDict\n",
        b"\x8a\x08" + b"\xff" * 7 + b"\x7f",
    ),
    b")" + b"q\x63h\x63h\x63\x86" * 40,
]
"""Steps of a pickle's program, and a tuple that doubles itself forty times."""


def mutate_zip(raw: bytes, rng: Rng, header: int, other: bytes = b"") -> bytes:
    """Members of an `.npz` or `.pt` changed (and packed well again), renamed, doubled or left out."""
    if rng.random() < 0.25:
        return mutate_bytes(raw, rng, len(raw), other)
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = [(n, archive.read(n)) for n in archive.namelist()]
    k, kind = int(rng.integers(len(members))), rng.random()
    programs = [i for i, (name, _) in enumerate(members) if name.endswith((".pkl", ".npy"))]
    k = programs[int(rng.integers(len(programs)))] if programs and kind < 0.85 else k
    name, data = members[k]
    if kind < 0.4 and name.endswith(".pkl"):
        at = int(rng.integers(2, len(data)))
        members[k] = (
            name,
            data[:at] + choose_bytes(rng, PICKLE_OPCODES) * int(rng.integers(1, 4)) + data[at:],
        )
    elif kind < 0.8:
        members[k] = (name, mutate_bytes(data, rng, min(len(data), 400)))
    elif kind < 0.85:
        members.append((name, data))
    elif kind < 0.93:
        members[k] = (
            choose_bytes(rng, [b"features.npy", b"x/data.pkl", b"../x", b"x/data/0"]).decode(),
            data,
        )
    else:
        del members[k]
    out = io.BytesIO()
    way = zipfile.ZIP_DEFLATED if rng.random() < 0.3 else zipfile.ZIP_STORED
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", way) as archive:
        warnings.simplefilter("ignore")
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def mutate_gzip(raw: bytes, rng: Rng, header: int, other: bytes = b"") -> bytes:
    """What a gzip file holds, changed and packed again, or the packed bytes themselves."""
    if rng.random() < 0.2:
        return mutate_bytes(raw, rng, len(raw), other)
    inner = gzip.decompress(raw)
    return gzip.compress(
        mutate_bytes(inner, rng, header, gzip.decompress(other) if other else b""), 1, mtime=0
    )


def mutate_dicom(raw: bytes, rng: Rng, header: int, other: bytes = b"") -> bytes:
    """Elements of a DICOM file set to extremes, dropped or taken from another file; or its bytes."""
    if rng.random() < 0.4:
        return raw[:132] + mutate_bytes(raw[132:], rng, len(raw) - 132, other[132:])
    from pydicom import config, dcmread
    from pydicom.multival import MultiValue

    before, config.settings.writing_validation_mode = config.settings.writing_validation_mode, config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data: Any = dcmread(io.BytesIO(raw))
            theirs: Any = dcmread(io.BytesIO(other or raw))
            for _ in range(int(rng.integers(1, 4))):
                names = [e.keyword for e in data if e.keyword and e.keyword != "PixelData"]
                name, kind = names[int(rng.integers(len(names)))], rng.random()
                if kind < 0.15:
                    delattr(data, name)
                elif kind < 0.3 and name in theirs:
                    setattr(data, name, theirs[name].value)
                else:
                    element = data[name]
                    value = _odd_value(element.VR, rng)
                    many = isinstance(element.value, MultiValue) and rng.random() < 0.8
                    value = [value, *list(element.value)[1:]] if many else value
                    element._value = value
            data.NumberOfFrames = str(int(rng.integers(-2, 5))) if rng.random() < 0.1 else None
            if data.NumberOfFrames is None:
                del data.NumberOfFrames
            out = io.BytesIO()
            data.save_as(out, enforce_file_format=False)
            return out.getvalue()
    except Exception:  # a value that pydicom cannot even write
        return mutate_bytes(raw, rng, len(raw))
    finally:
        config.settings.writing_validation_mode = before


def _odd_value(kind: str, rng: Rng) -> Any:
    if kind in ("US", "UL", "SS", "SL"):
        return int(rng.choice([0, 1, 2, 7, 255, 32_767]))
    if kind in ("DS", "IS"):
        return str(
            rng.choice(["0", "-1", "1e300", "nan", "2147483647", "x", "", "1e-300", "99999999999", "3"])
        )
    if kind == "SQ":
        return []
    return str(
        rng.choice(["", "x", "1.2.840.10008.1.2.5", "MONOCHROME1", "RGB", "PALETTE COLOR", "\\", "0" * 70])
    )


def mutate_tiff(raw: bytes, rng: Rng, header: int, other: bytes = b"") -> bytes:
    """Entries of a TIFF's first directory: another tag, type, count or value; or any of its bytes."""
    order = "<" if raw[:2] == b"II" else ">"
    start = struct.unpack(order + "I", raw[4:8])[0]
    if rng.random() < 0.3 or raw[2:4] not in (b"\x2a\0", b"\0\x2a") or start + 2 > len(raw):
        return mutate_bytes(raw, rng, len(raw), other)
    out = bytearray(raw)
    count = struct.unpack(order + "H", raw[start : start + 2])[0]
    for _ in range(int(rng.integers(1, 4))):
        entry = start + 2 + 12 * int(rng.integers(max(1, count)))
        part = rng.random()
        if part < 0.15:
            out[entry : entry + 2] = struct.pack(
                order + "H", int(rng.choice([256, 258, 259, 262, 277, 284, 338, 339]))
            )
        elif part < 0.3:
            out[entry + 2 : entry + 4] = struct.pack(order + "H", int(rng.integers(0, 19)))
        elif part < 0.45:
            numbers = [0, 1, 2, 2**31 - 1, 2**32 - 1, 10**6, 65_536]
            out[entry + 4 : entry + 8] = struct.pack(order + "I", int(rng.choice(numbers)))
        elif part < 0.9:
            numbers = [0, 1, 2, 3, 5, 6, 7, 8, 16, 32, 64, 255, 65_535, 2**31 - 1, 2**32 - 1, start]
            out[entry + 8 : entry + 12] = struct.pack(order + "I", int(rng.choice(numbers)))
        else:
            at = int(rng.integers(len(out)))
            out[at : at + 4] = choose_bytes(rng, EXTREME_NUMBERS)
    return bytes(out)
