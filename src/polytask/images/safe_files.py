"""Write files whole or not at all, and refuse files that would block, or that lie where they should not."""

from __future__ import annotations

import logging
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from polytask.atomic_files import write_file_atomically
from polytask.documents.special_files import name_special_file
from polytask.errors import PolytaskError


@contextmanager
def write_atomically(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file for writing that gets the name `path` only after everything was written.

    Parent folders are made. When the block inside raises, `path` stays as it was.
    """
    # A name of its own for each writer: two commands without a common lock may write into one folder.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_file_atomically(path, temporary), temporary.open("xb") as file:
            yield file
    except OSError as error:
        reason = error.strerror or str(error)
        raise PolytaskError(
            f"{path}: cannot be written ({reason}); expected a writable folder with free space"
        ) from None


def find_data_file(header: Path, name: str) -> Path:
    """Return the data file that a header names. It must lie in the header's own folder and nowhere else."""
    if Path(name).name != name or "\\" in name or "\0" in name or name in ("", ".", ".."):
        raise PolytaskError(
            f"{header}: names the data file {name!r}; expected a plain file name in the same folder; move the file"
        )
    data = header.with_name(name)
    if not data.is_file():
        raise PolytaskError(
            f"{header}: its data file {name!r} is missing; expected it in the same folder; copy it there"
        )
    # A link could make a header read any file of this machine.
    if data.resolve().parent != header.parent.resolve():
        raise PolytaskError(
            f"{header}: its data file {name!r} is a link to another folder; expected the file itself; copy it there"
        )
    return data


def refuse_special_file(path: Path) -> None:
    """Refuse a named pipe, a socket or a device: reading one could block or never end. A folder or no file passes."""
    if kind := name_special_file(path):
        raise PolytaskError(f"{path}: is {kind}; expected an image; save what it sends to a file first")


@contextmanager
def silence_library(logger: str) -> Iterator[None]:
    """Silence the warnings and log lines of a library inside the block; its exceptions still pass through."""
    log = logging.getLogger(logger)
    before, log.disabled = log.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.disabled = before
