"""Walk the chain of directories of a TIFF and check it, before any library follows it.

Each page of a TIFF has a directory: a number of entries (tags), the entries, and the offset of the next directory. A
damaged file can lead back to an earlier directory, list the same values in thousands of directories, or point to one
directory a million times; a library that follows it never ends. Other faults are left to the library to report.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO, NamedTuple

from polytask.errors import PolytaskError
from polytask.images.size_limits import MAX_AXIS_LENGTH

MAX_DIRECTORY_ENTRIES = 4_096
"""Most entries of one directory; writers need fewer than a hundred."""
MAX_SUB_DIRECTORIES = 1_024
"""Most directories inside one page (SubIFDs), which hold the coarser levels of a slide."""
SUB_DIRECTORIES_TAG = 330
SPARE_VALUE_BYTES = 1 << 24
"""All directories together may name values of twice the file's size plus these bytes; some writers share values."""
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
"""Code of a value type in TIFF → bytes of one value."""


class DirectoryFormat(NamedTuple):
    """How a file stores its directories, which differs between TIFF and BigTIFF and by byte order.

    Args:
        number, entry, offset: binary layout of the number of entries, of one entry, and of an offset.
        first: offset of the first directory.
    """

    number: struct.Struct
    entry: struct.Struct
    offset: struct.Struct
    first: int


def check_tiff_directories(path: Path, max_pages: int = MAX_AXIS_LENGTH) -> None:
    """Refuse a TIFF whose directories form a circle, are too many, or name more values than the file can hold.

    Args:
        max_pages: pages the file may have.
    """
    size, named = path.stat().st_size, 0
    offsets: set[int] = set()
    with path.open("rb") as file:
        for offset, entries in walk_tiff_directories(file):
            if offset in offsets:
                raise make_tiff_error(path, f"after page {len(offsets)} an earlier page follows again")
            offsets.add(offset)
            if len(offsets) > max_pages:
                raise make_tiff_error(path, f"has more than {max_pages} pages")
            if len(entries) > MAX_DIRECTORY_ENTRIES:
                raise make_tiff_error(path, f"page {len(offsets)} has {len(entries)} tags")
            for tag, kind, count in entries:
                # One entry counts as the whole file at most: a single absurd count is left to the library to report.
                named += min(count * VALUE_BYTES.get(kind, 1), size)
                if tag == SUB_DIRECTORIES_TAG and count > MAX_SUB_DIRECTORIES:
                    raise make_tiff_error(path, f"page {len(offsets)} has {count} pages inside")
            if named > 2 * size + SPARE_VALUE_BYTES:
                raise make_tiff_error(path, "its pages describe more than the file holds")


def make_tiff_error(path: Path, problem: str) -> PolytaskError:
    """Make the error for a TIFF with this problem."""
    return PolytaskError(f"{path}: cannot be read as TIFF ({problem}); export the file again")


def walk_tiff_directories(file: BinaryIO) -> Iterator[tuple[int, list[tuple[int, int, int]]]]:
    """Yield each directory as (offset, entries as (tag, type, count)), as long as they lie in the file.

    Never ends where the chain is a circle. A file that is no TIFF has no directories.
    """
    form = read_directory_format(file)
    size = file.seek(0, SEEK_END)
    offset = form.first if form else 0
    while form and 0 < offset < size:
        file.seek(offset)
        raw = file.read(form.number.size)
        if len(raw) < form.number.size:
            return
        number = form.number.unpack(raw)[0]
        # One entry beyond the limit is enough for the caller to see that there are too many.
        kept = min(number, MAX_DIRECTORY_ENTRIES + 1)
        raw = file.read(kept * form.entry.size)
        raw = raw[: len(raw) - len(raw) % form.entry.size]
        yield offset, list(form.entry.iter_unpack(raw))
        file.seek(min(size, offset + form.number.size + number * form.entry.size))
        raw = file.read(form.offset.size)
        if len(raw) < form.offset.size:
            return
        offset = form.offset.unpack(raw)[0]


def read_directory_format(file: BinaryIO) -> DirectoryFormat | None:
    """Read from the first bytes how the file stores its directories; None where it is no TIFF."""
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
    return DirectoryFormat(count, entry, offset, offset.unpack(first)[0])
