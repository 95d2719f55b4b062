"""`model.json` as plain data, read with its seal: a changed description is told from the one that was exported."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polytask.documents.fault import refuse_odd_content
from polytask.documents.json_reader import read_json_object
from polytask.errors import PolytaskError
from polytask.plain import plain

SEAL = "seal"
LARGEST = 256 << 20
"""Bytes a description may have (thousands of table columns and folds need a few MB)."""
BEYOND = 1e30
"""A number of a description is smaller than this: it is used in 32 bits."""


def seal_of(description: Mapping[str, Any]) -> str:
    """sha256 of what a description says, however it is laid out; the seal itself left out."""
    content = {k: v for k, v in description.items() if k != SEAL}
    text = json.dumps(
        plain(content), sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False
    )
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def read_description(path: Path) -> tuple[dict[str, Any], list[str]]:
    """(the description, notices). One without a seal, from before there were any, is taken with a notice."""
    what, remedy = "a model description", "export it again"
    content = read_json_object(path, what, remedy, LARGEST)
    with refuse_odd_content(path, what, remedy):
        _check_numbers(content)
        given = content.get(SEAL)
        if given is not None and given != seal_of(content):
            raise PolytaskError(
                f"{path}: changed since it was exported (its seal does not fit); restore it, or export it again"
            )
    notice = f"{path}: has no seal (exported by an older version), so nobody can tell whether it was changed"
    return content, [] if given is not None else [notice]


def _check_numbers(value: Any) -> None:
    """Refuse numbers that overflow where they are used."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            _check_numbers(entry)
    elif isinstance(value, int | float) and not abs(value) < BEYOND:
        raise ValueError(
            f"{value:g} is too large a number" if isinstance(value, float) else "too large a number"
        )
