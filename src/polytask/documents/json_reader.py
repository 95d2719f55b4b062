"""Read JSON files and logs of JSON lines, with limits and one-line errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from polytask.documents.document_errors import DocumentError, MalformedError, shorten_message
from polytask.documents.text_reader import (
    MAX_DOCUMENT_BYTES,
    check_all_texts,
    check_nesting,
    convert_float,
    convert_int,
    read_text,
)

_LARGE_NUMBER = re.compile(r"[0-9]{65}|[0-9.][eE]\+?[0-9]{3}")
"""Matches somewhere in every text with a number that is too long or too large (sometimes also in a hash). Only then is
each number checked, which makes parsing four times as slow."""
_ODD_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
"""Matches an escape that may stand for a NUL or for half of a surrogate pair."""
MAX_LINE_CHARACTERS = 1 << 20
"""Most characters of one line of a log."""


def read_json(
    path: Path,
    expected: str = "a JSON file",
    remedy: str = "correct or replace it",
    limit: int = MAX_DOCUMENT_BYTES,
    missing: str = "correct the path",
) -> Any:
    """Read the content of a JSON file. See `read_text` for the arguments, and `parse_json` for what is refused."""
    return parse_json(read_text(path, expected, remedy, limit, missing), str(path), expected, remedy)


def read_json_object(
    path: Path,
    expected: str = "a JSON file",
    remedy: str = "correct or replace it",
    limit: int = MAX_DOCUMENT_BYTES,
    missing: str = "correct the path",
) -> dict[str, Any]:
    """Read a JSON file whose outermost value must be an object (keys and values). For the rest see `read_json`."""
    content = read_json(path, expected, remedy, limit, missing)
    if not isinstance(content, dict):
        raise DocumentError(str(path), "does not hold keys and values", expected, remedy)
    return content


def find_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file that may be absent or half written; {} in that case."""
    try:
        return read_json_object(path)
    except DocumentError:
        return {}


def parse_json(text: str, place: str, expected: str = "JSON", remedy: str = "correct or replace it") -> Any:
    """Parse JSON text to plain data.

    Refused, in one line with its place: text that is not JSON, a key written twice, NaN and Infinity, numbers of more
    than 64 digits or beyond a float, more than 64 levels, and text that no file can hold (NUL, half a surrogate pair).

    Args:
        place: the file or option, for errors.
        expected: what the text should be, for errors.
        remedy: what to do, for errors.
    """
    try:
        return _parse_json_text(text)
    except MalformedError as error:
        where = f"{place}, line {error.line}" if error.line else place
        raise DocumentError(where, f"not JSON ({error.problem})", expected, remedy) from None


def read_json_lines(
    path: Path, expected: str = "a log of JSON lines"
) -> list[tuple[str, dict[str, Any] | None]]:
    """Read every line of a log as (line, its JSON object); None for a line that is no JSON object; [] without a file.

    A process that is killed leaves half a line, and the next process writes after it. So an odd line says nothing about
    the others, and the caller decides what it means. Blank lines are left out.
    """
    try:
        text = read_text(path, expected, "move it away")
    except DocumentError as error:
        if error.missing:
            return []
        raise
    return [(line, _parse_object_line(line)) for line in _split_json_lines(text)]


def _split_json_lines(text: str) -> Iterator[str]:
    """Split a log into its lines. `str.splitlines` would also split at characters that JSON text may hold."""
    return (line.removesuffix("\r") for line in text.split("\n") if line.strip())


def _parse_object_line(line: str) -> dict[str, Any] | None:
    """Parse one line of a log; None where it is too long or no JSON object."""
    try:
        value = _parse_json_text(line) if len(line) <= MAX_LINE_CHARACTERS else None
    except MalformedError:
        return None
    return value if isinstance(value, dict) else None


def _parse_json_text(text: str) -> Any:
    """Parse JSON text; raises `MalformedError` for all that `parse_json` refuses."""
    large = _LARGE_NUMBER.search(text) is not None
    try:
        value = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=convert_float if large else None,
            parse_int=convert_int if large else None,
            object_pairs_hook=_build_json_object,
        )
    except json.JSONDecodeError as error:
        raise MalformedError(shorten_message(error.msg[:1].lower() + error.msg[1:]), error.lineno) from None
    except RecursionError:
        raise MalformedError("nested too deeply") from None
    check_nesting(value)
    if _ODD_ESCAPE.search(text):
        check_all_texts(value)
    return value


def _build_json_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dict of keys and values; refuse a key that comes twice, of which `json` would keep the last."""
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise MalformedError(f"{shorten_message(twice)!r} is written twice")
    return mapping


def _refuse_constant(word: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python's `json` reads although JSON does not have them."""
    raise MalformedError(f"{word} is not a number in JSON; write null for an unknown value")
