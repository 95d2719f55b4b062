"""The text of a table file, compressed or not, never more of it than a table may have."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from polytask.documents.file_kinds import name_special_file
from polytask.errors import PolytaskError

LIMIT = 1 << 30
"""Bytes a table may have, inflated."""


def name_without_gz(path: Path) -> str:
    """The file's name in lower case, without the ending of a compressed file."""
    return path.name.lower().removesuffix(".gz")


@contextmanager
def open_table(path: Path, encoding: str = "utf-8-sig") -> Iterator[IO[str]]:
    """The lines of a table of text; a file whose name ends in `.gz` is inflated on the way.

    Raises:
        PolytaskError: larger than a table may be, on disk or inflated, or not a whole gzip file.
    """
    with open_table_bytes(path) as file:
        yield io.TextIOWrapper(file, encoding=encoding, newline="")


@contextmanager
def open_table_bytes(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a table; a file whose name ends in `.gz` is inflated on the way.

    Raises:
        PolytaskError: larger than a table may be, on disk or inflated, or not a whole gzip file.
    """
    _require_plain_file(path)
    check_table_size(path, path.stat().st_size)
    if not path.name.lower().endswith(".gz"):
        with path.open("rb") as file:
            yield file
        return
    try:
        with gzip.open(path) as packed:
            yield io.BufferedReader(_Counted(path, packed))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise PolytaskError(
            f"{path}: not a whole gzip file ({error}); expected a compressed table; copy it again"
        ) from None


def _require_plain_file(path: Path) -> None:
    """Refuse a named pipe or a device, which would block or never end."""
    if kind := name_special_file(path):
        raise PolytaskError(f"{path}: is {kind}; expected a table; save what it sends to a file first")


def check_table_size(path: Path, size: int) -> None:
    """Refuse a table of more bytes than `LIMIT`."""
    if size > LIMIT:
        raise PolytaskError(
            f"{path}: larger than {LIMIT >> 30} GB; expected a table of cells; name the right file"
        )


class _Counted(io.RawIOBase):
    """A stream that refuses to be read beyond the limit, however well it was compressed."""

    def __init__(self, path: Path, inner: gzip.GzipFile) -> None:
        self._path, self._inner, self._size = path, inner, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        found = self._inner.read(len(buffer))
        self._size += len(found)
        check_table_size(self._path, self._size)
        buffer[: len(found)] = found
        return len(found)
