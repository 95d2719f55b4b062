"""Make plain data for JSON, without NaN, and write JSON files whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polytask.atomic_files import write_text_atomically


def make_plain(value: Any) -> Any:
    """Convert a value to what JSON can hold: keys become text, tuples lists, and numbers that are not finite None."""
    # NaN is the only value that is not equal to itself.
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, Mapping):
        return {str(k): make_plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [make_plain(v) for v in value]
    return value


def write_plain_json(path: Path, value: Any) -> None:
    """Write a value as JSON, whole or not at all; numbers that are not finite become null."""
    write_text_atomically(path, json.dumps(make_plain(value), indent=1, allow_nan=False) + "\n")
