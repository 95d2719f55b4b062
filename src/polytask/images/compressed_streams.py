"""Inflate gzip and zlib streams in pieces of bounded size, and never further than asked."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from polytask.errors import PolytaskError

INFLATE_CHUNK_BYTES = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"


def inflate_into(source: Path, file: BinaryIO, offset: int, into: memoryview) -> int:
    """Inflate `file` from its current position, skip `offset` bytes, and fill `into` with the following ones.

    Args:
        source: the file's path, for error messages.

    Returns:
        how many bytes of `into` were filled.
    """
    # Counted from the first wanted byte: negative while bytes are still being skipped.
    done = -offset
    for piece in inflate_stream(source, file):
        start = max(0, -done)
        take = piece[start : start + len(into) - max(done, 0)]
        into[max(done, 0) : max(done, 0) + len(take)] = take
        done += len(piece)
        if done > len(into):
            break
    return min(max(done, 0), len(into))


def count_inflated_bytes(source: Path, file: BinaryIO, skip: int, needed: int) -> int:
    """Count the inflated bytes of the stream that begins at byte `skip`, up to `needed`.

    A gzip file whose trailer names `needed` bytes is believed without inflating it. A zlib stream has no such trailer
    and is always believed.
    """
    file.seek(skip)
    if file.read(2) != GZIP_MAGIC:
        return needed
    file.seek(-4, 2)
    # The trailer of gzip holds the inflated size modulo 2**32.
    if int.from_bytes(file.read(4), "little") == needed % 2**32:
        return needed
    file.seek(skip)
    done = 0
    for piece in inflate_stream(source, file):
        done += len(piece)
        if done >= needed:
            return needed
    return done


def inflate_stream(source: Path, file: BinaryIO) -> Iterator[bytes]:
    """Yield the inflated bytes of a gzip or zlib stream in pieces of at most 1 MiB, and verify the checksums.

    A gzip file may hold several members, one after another.
    """
    # 47 = 32 + 15: gzip and zlib headers are both recognized, with the largest window.
    engine, pending = zlib.decompressobj(47), b""
    while True:
        pending = pending or file.read(INFLATE_CHUNK_BYTES)
        try:
            piece = engine.decompress(pending, INFLATE_CHUNK_BYTES)
        except zlib.error as error:
            raise PolytaskError(
                f"{source}: damaged, or not compressed as its name says ({error}); copy the file again"
            ) from None
        if piece:
            yield piece
        if engine.eof:
            pending = engine.unused_data or file.read(INFLATE_CHUNK_BYTES)
            if pending[:2] != GZIP_MAGIC:
                return
            engine = zlib.decompressobj(47)
        elif not pending and not piece:
            raise PolytaskError(
                f"{source}: truncated: the compressed stream stops in the middle; copy the file again"
            )
        else:
            pending = engine.unconsumed_tail
