"""Check the limits that every value of a document must keep, so that no later step fails because of it."""

from __future__ import annotations

from typing import Any

from polytask.documents.document_errors import MalformedError

MAX_NESTING = 64
"""Most levels of lists and mappings inside each other; documents of Polytask have fewer than 12."""
MAX_NUMBER_CHARACTERS = 64
"""Most characters of a number. A float cannot hold more than 309 digits, and Python refuses more than 4,300."""


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
