"""Read the text of a file, and check the limits that every value of a document must keep.

The file must be a regular one of bounded size, in UTF-8. Its values are checked, so that no later step fails because of
them.
"""

from __future__ import annotations

import stat
from importlib.resources import files
from pathlib import Path
from typing import Any

from polytask.documents.document_errors import DocumentError, MalformedError
from polytask.documents.special_files import name_special_file

MAX_DOCUMENT_BYTES = 256 << 20
"""Most bytes of a document. Thousands of columns and folds, or the answers for 100,000 subjects, need less."""
MAX_NESTING = 64
"""Most levels of lists and mappings inside each other; documents of Polytask have fewer than 12."""
MAX_NUMBER_CHARACTERS = 64
"""Most characters of a number. A float cannot hold more than 309 digits, and Python refuses more than 4,300."""


def read_text(
    path: Path,
    expected: str = "a text file",
    remedy: str = "restore it",
    limit: int = MAX_DOCUMENT_BYTES,
    missing: str = "correct the path",
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
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise fail(f"is {name_special_file(path) or 'a folder'}")
        with path.open("rb") as file:
            # Memory is taken for as much as is asked for: for the file, not for the limit.
            # One byte more shows that the file is larger than allowed, or that it has grown.
            data = file.read(min(status.st_size, limit) + 1)
            if len(data) > status.st_size:  # it has grown, or does not say its size
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


def check_nesting(value: Any) -> None:
    """Refuse lists and mappings that are nested too deeply. Works level by level, without recursion."""
    level = [value]
    for _ in range(MAX_NESTING + 1):
        level = [
            inner
            for entry in level
            if isinstance(entry, list | dict)
            for inner in (entry.values() if isinstance(entry, dict) else entry)
            if isinstance(inner, list | dict)
        ]
        if not level:
            return
    raise MalformedError(f"nested more than {MAX_NESTING} levels deep")


def check_all_texts(value: Any) -> None:
    """Check every text in a document with `check_text_characters`. Needed where escapes can stand for any character."""
    left = [value]
    while left:
        entry = left.pop()
        if isinstance(entry, dict):
            left += [*entry, *entry.values()]
        elif isinstance(entry, list):
            left += entry
        # Printable text has neither NUL nor surrogates; this quick test spares nearly all texts the slow one.
        elif isinstance(entry, str) and not entry.isprintable():
            check_text_characters(entry)


def check_text_characters(text: str, line: int = 0) -> None:
    """Refuse a NUL, which no file name can hold, and half of a surrogate pair, which no UTF-8 file can hold."""
    if "\0" in text:
        raise MalformedError("a text with a NUL character", line)
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise MalformedError("a text with half a character (a lone surrogate)", line)


def convert_float(text: str) -> float:
    """Convert the text of a number with a point or an exponent; too long or too large ones are refused."""
    # Longer than whole numbers may be: some programs write floats with hundreds of decimals.
    if len(text) > MAX_NUMBER_CHARACTERS * 4:
        raise MalformedError(f"a number of {len(text):,} characters")
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise MalformedError(f"{text[:20]} is too large a number")
    return value


def convert_int(text: str) -> int:
    """Convert the text of a whole number; one with too many digits is refused."""
    if len(text) > MAX_NUMBER_CHARACTERS:
        raise MalformedError(f"a number of {len(text):,} digits")
    return int(text)
