"""The chain of directories of a TIFF, walked before any library follows it.

Each page of a TIFF has a directory: a count of entries (tags), the entries, and where the next directory lies. A
damaged file can lead back to an earlier directory, list the same values in thousands of them, or point to one directory
a million times; a library that follows it works for ever. What is merely wrong is left to the library to word.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO, NamedTuple

from polytask.errors import PolytaskError
from polytask.images.limits import MAX_AXIS

MAX_ENTRIES = 4_096
"""Entries one directory may have; writers put down fewer than a hundred."""
MAX_INNER = 1_024
"""Directories that a page may keep inside (SubIFDs): the coarser levels of a slide."""
SUB_DIRECTORIES = 330
SPARE_BYTES = 1 << 24
"""Bytes of values that all directories may name beyond twice the size of the file; some writers share values."""
VALUE_BYTES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
"""Bytes of one value of each type of TIFF."""


class Form(NamedTuple):
    """How a file writes its directories: structures of the number of entries, of one entry, and of an offset."""

    number: struct.Struct
    entry: struct.Struct
    offset: struct.Struct
    first: int


def check_directories(path: Path, most: int = MAX_AXIS) -> None:
    """Refuse a TIFF whose directories go round in a circle, are too many, or name more than the file can hold.

    Args:
        most: pages the file may have.
    """
    size, named = path.stat().st_size, 0
    seen: set[int] = set()
    with path.open("rb") as file:
        for offset, entries in walk_directories(file):
            if offset in seen:
                raise refuse(path, f"after page {len(seen)} an earlier page follows again")
            seen.add(offset)
            if len(seen) > most:
                raise refuse(path, f"has more than {most} pages")
            if len(entries) > MAX_ENTRIES:
                raise refuse(path, f"page {len(seen)} has {len(entries)} tags")
            for tag, kind, count in entries:
                named += min(count * VALUE_BYTES.get(kind, 1), size)
                if tag == SUB_DIRECTORIES and count > MAX_INNER:
                    raise refuse(path, f"page {len(seen)} has {count} pages inside")
            if named > 2 * size + SPARE_BYTES:
                raise refuse(path, "its pages describe more than the file holds")


def refuse(path: Path, problem: str) -> PolytaskError:
    """The error of a file with this problem."""
    return PolytaskError(f"{path}: cannot be read as TIFF ({problem}); export the file again")


def walk_directories(file: BinaryIO) -> Iterator[tuple[int, list[tuple[int, int, int]]]]:
    """Each directory as (offset, entries as (tag, type, count)), as long as they lie in the file.

    It goes on for ever where the chain is a circle. A file that is no TIFF has none.
    """
    form = read_form(file)
    size = file.seek(0, SEEK_END)
    offset = form.first if form else 0
    while form and 0 < offset < size:
        file.seek(offset)
        raw = file.read(form.number.size)
        if len(raw) < form.number.size:
            return
        number = form.number.unpack(raw)[0]
        kept = min(number, MAX_ENTRIES + 1)
        raw = file.read(kept * form.entry.size)
        raw = raw[: len(raw) - len(raw) % form.entry.size]
        yield offset, list(form.entry.iter_unpack(raw))
        file.seek(min(size, offset + form.number.size + number * form.entry.size))
        raw = file.read(form.offset.size)
        if len(raw) < form.offset.size:
            return
        offset = form.offset.unpack(raw)[0]


def read_form(file: BinaryIO) -> Form | None:
    """How the file says it is written; None where it is no TIFF."""
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        return None
    version = struct.unpack(f"{order}H", head[2:4])[0]
    if version == 42:
        parts = (f"{order}H", f"{order}HHI4x", f"{order}I")
        first = head[4:8]
    elif version == 43 and len(head) == 16:
        parts = (f"{order}Q", f"{order}HHQ8x", f"{order}Q")
        first = head[8:16]
    else:
        return None
    count, entry, offset = (struct.Struct(part) for part in parts)
    return Form(count, entry, offset, offset.unpack(first)[0])
