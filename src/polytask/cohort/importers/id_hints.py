"""Explain why an id was not found: leading zeros, upper and lower case, another separator, a file ending."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_LISTED_IDS = 3
"""A line names at most this many ids and counts the others."""


def explain_missing_ids(missing: Iterable[str], existing: Iterable[str]) -> str:
    """List the first few missing ids, each with the id that was probably meant: `12 (there is '0012')`.

    Args:
        missing: ids that were looked for.
        existing: ids that exist.
    """
    near: dict[str, str] = {}
    for name in existing:
        near.setdefault(_simplify_id(name), name)
    listed = list(dict.fromkeys(missing))
    shown = [
        f"{m} (there is {near[_simplify_id(m)]!r})" if _simplify_id(m) in near else m
        for m in listed[:MAX_LISTED_IDS]
    ]
    return ", ".join(shown) + (
        f" and {len(listed) - MAX_LISTED_IDS} more" if len(listed) > MAX_LISTED_IDS else ""
    )


def _simplify_id(name: str) -> str:
    """Reduce an id to its words and numbers, so that two spellings of the same id become equal."""
    stem = re.sub(r"\.(nii|nrrd|mha|png|jpe?g|tiff?|dcm)(\.gz)?$", "", name.strip().lower())
    words = re.findall(r"[a-z]+|\d+", stem)
    return "-".join(w.lstrip("0") or "0" if w.isdigit() else w for w in words)
