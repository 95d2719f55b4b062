"""Read the text of a file: it must be a regular file of bounded size, in UTF-8."""

from __future__ import annotations

import stat
from importlib.resources import files
from pathlib import Path

from polytask.documents.document_errors import DocumentError
from polytask.documents.special_files import name_special_file

MAX_DOCUMENT_BYTES = 256 << 20
"""Most bytes of a document. Thousands of columns and folds, or the answers for 100,000 subjects, need less."""


def read_text(
    path: Path,
    expected: str = "a text file",
    remedy: str = "restore it",
    limit: int = MAX_DOCUMENT_BYTES,
    missing: str = "mend the path",
) -> str:
    """Read the text of a file, without the byte order mark that some editors put at the beginning.

    Args:
        expected: what the file should be, for the error.
        remedy: what to do about a damaged file, for the error.
        limit: bytes that the file may have.
        missing: what to do when there is no such file, for the error.

    Raises:
        DocumentError: the file is missing, not regular, larger than `limit`, not readable or not UTF-8.
    """

    def fail(problem: str, gone: bool = False) -> DocumentError:
        return DocumentError(str(path), problem, expected, missing if gone else remedy, gone)

    try:
        # A named pipe or a device would block, or never end.
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise fail(f"is {name_special_file(path) or 'a folder'}")
        with path.open("rb") as file:
            # Memory is taken for as much as is asked for: for the file, not for the limit.
            # One byte more shows that the file is larger than allowed, or that it has grown.
            data = file.read(min(found.st_size, limit) + 1)
            if len(data) > found.st_size:  # it has grown, or does not say its size
                data += file.read(max(0, limit + 1 - len(data)))
    except (FileNotFoundError, NotADirectoryError):
        raise fail("no such file", gone=True) from None
    except OSError as error:
        raise fail(f"cannot be read ({error.strerror or error})") from None
    except ValueError:  # a NUL in the name
        raise fail("no file can have this name") from None
    if len(data) > limit:
        raise fail(f"larger than {limit >> 20} MB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise fail(f"not UTF-8 text (byte 0x{data[error.start]:02x} in line {line})") from None


def read_resource(package: str, name: str) -> str:
    """Read the text of a file that is installed with Polytask; `name` may lie in folders of the package."""
    return files(package).joinpath(*name.split("/")).read_text(encoding="utf-8")
