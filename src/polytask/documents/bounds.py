"""Bounds that every value of a document keeps, so that no later step is surprised by it."""

from __future__ import annotations

from typing import Any

from polytask.documents.fault import MalformedError

DEPTH = 64
"""Lists and mappings inside each other; ours have fewer than 12."""
DIGITS = 64
"""Characters a number may have. A float cannot hold more than 309 digits, and Python refuses 4,300."""


def check_depth(value: Any) -> None:
    """Refuse lists and mappings that are nested too deeply, level by level and without recursion."""
    level = [value]
    for _ in range(DEPTH + 1):
        level = [
            inner
            for entry in level
            if isinstance(entry, list | dict)
            for inner in (entry.values() if isinstance(entry, dict) else entry)
            if isinstance(inner, list | dict)
        ]
        if not level:
            return
    raise MalformedError(f"nested more than {DEPTH} levels deep")


def check_words(value: Any) -> None:
    """Refuse text that no file can be named after and no UTF-8 file can hold; for documents with escapes."""
    left = [value]
    while left:
        entry = left.pop()
        if isinstance(entry, dict):
            left += [*entry, *entry.values()]
        elif isinstance(entry, list):
            left += entry
        elif isinstance(entry, str) and not entry.isprintable():
            check_word(entry)


def check_word(text: str, line: int = 0) -> None:
    """Refuse a NUL, and half of a surrogate pair."""
    if "\0" in text:
        raise MalformedError("a text with a NUL character", line)
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise MalformedError("a text with half a character (a lone surrogate)", line)


def read_float(text: str) -> float:
    """A number with a point or an exponent."""
    if len(text) > DIGITS * 4:
        raise MalformedError(f"a number of {len(text):,} characters")
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise MalformedError(f"{text[:20]} is too large a number")
    return value


def read_int(text: str) -> int:
    """A whole number."""
    if len(text) > DIGITS:
        raise MalformedError(f"a number of {len(text):,} digits")
    return int(text)
