"""Open table files, compressed or not, with a limit on how many bytes are read from them."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from polytask.documents.special_files import name_special_file
from polytask.errors import PolytaskError

MAX_TABLE_BYTES = 1 << 30
"""Largest size of a table in bytes, after decompression."""


def strip_gz_ending(path: Path) -> str:
    """Return the name of a file in lower case and without a final `.gz`."""
    return path.name.lower().removesuffix(".gz")


@contextmanager
def open_table(path: Path, encoding: str = "utf-8-sig") -> Iterator[IO[str]]:
    """Open a table as text. A file whose name ends in `.gz` is decompressed while it is read.

    Raises:
        PolytaskError: the file is larger than the limit (on disk or decompressed), or is not a complete gzip file.
    """
    with open_table_bytes(path) as file:
        yield io.TextIOWrapper(file, encoding=encoding, newline="")


@contextmanager
def open_table_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a table as bytes. A file whose name ends in `.gz` is decompressed while it is read.

    Raises:
        PolytaskError: the file is larger than the limit (on disk or decompressed), or is not a complete gzip file.
    """
    _require_plain_file(path)
    check_table_size(path, path.stat().st_size)
    if not path.name.lower().endswith(".gz"):
        with path.open("rb") as file:
            yield file
        return
    try:
        with gzip.open(path) as packed:
            yield io.BufferedReader(_SizeLimitedStream(path, packed))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise PolytaskError(
            f"{path}: not a complete gzip file ({error}); expected a compressed table; copy it again"
        ) from None


def _require_plain_file(path: Path) -> None:
    """Raise for a named pipe or a device: reading one can block or never end."""
    if kind := name_special_file(path):
        raise PolytaskError(f"{path}: is {kind}; expected a table; save its output to a file first")


def check_table_size(path: Path, size: int) -> None:
    """Raise if a table has more bytes than `MAX_TABLE_BYTES`."""
    if size > MAX_TABLE_BYTES:
        raise PolytaskError(
            f"{path}: larger than {MAX_TABLE_BYTES >> 30} GB; expected a table; check that it is the right file"
        )


class _SizeLimitedStream(io.RawIOBase):
    """Stream that raises when more than the limit is read: a small gzip file can hold a huge table."""

    def __init__(self, path: Path, inner: gzip.GzipFile) -> None:
        self._path, self._inner, self._size = path, inner, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        block = self._inner.read(len(buffer))
        self._size += len(block)
        check_table_size(self._path, self._size)
        buffer[: len(block)] = block
        return len(block)
