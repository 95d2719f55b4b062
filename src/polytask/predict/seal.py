"""Reads `model.json` and checks its seal, which shows whether the description was changed after the export."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polytask.documents.document_errors import convert_content_errors
from polytask.documents.json_reader import read_json_object
from polytask.errors import PolytaskError
from polytask.plain import make_plain

SEAL_KEY = "seal"
MAX_DESCRIPTION_BYTES = 256 << 20
"""The largest size of a description in bytes (thousands of table columns and folds need a few MB)."""
MAX_DESCRIPTION_NUMBER = 1e30
"""Every number of a description must be smaller than this: they are used in float32, which ends at 3.4e38."""


def compute_seal(description: Mapping[str, Any]) -> str:
    """Compute the sha256 of the content of a description, whatever its layout in the file, without the seal itself."""
    content = {k: v for k, v in description.items() if k != SEAL_KEY}
    # One fixed layout: keys sorted, no blanks, ASCII, so that a file that was only formatted anew keeps its seal.
    text = json.dumps(
        make_plain(content), sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False
    )
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def read_description(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Read (description, notices). A description of an old version without a seal is accepted with a notice."""
    what, remedy = "a model description", "export it again"
    content = read_json_object(path, what, remedy, MAX_DESCRIPTION_BYTES)
    with convert_content_errors(path, what, remedy):
        _refuse_huge_numbers(content)
        seal = content.get(SEAL_KEY)
        if seal is not None and seal != compute_seal(content):
            raise PolytaskError(
                f"{path}: changed since it was exported (its seal does not fit); restore it, or export it again"
            )
    notice = f"{path}: has no seal (exported by an older version), so it cannot be checked for changes"
    return content, [] if seal is not None else [notice]


def _refuse_huge_numbers(value: Any) -> None:
    """Refuse numbers that would overflow in float32, at any depth of `value`; NaN as well."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            _refuse_huge_numbers(entry)
    # `not <` instead of `>=` refuses NaN too. An int may have too many digits for the format `:g`.
    elif isinstance(value, int | float) and not abs(value) < MAX_DESCRIPTION_NUMBER:
        raise ValueError(
            f"{value:g} is too large a number" if isinstance(value, float) else "too large a number"
        )
