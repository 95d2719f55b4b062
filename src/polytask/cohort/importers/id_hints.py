"""Explain why an id was not found: leading zeros, upper and lower case, another separator, a file ending."""

from __future__ import annotations

import re
from collections.abc import Iterable

SHOWN = 3
"""A line names at most this many ids and counts the others."""


def explain_missing(missing: Iterable[str], there: Iterable[str]) -> str:
    """List the first few missing ids, each with the id that was probably meant: `12 (there is '0012')`.

    Args:
        missing: ids that were looked for.
        there: ids that exist.
    """
    near: dict[str, str] = {}
    for name in there:
        near.setdefault(_core(name), name)
    listed = list(dict.fromkeys(missing))
    shown = [f"{m} (there is {near[_core(m)]!r})" if _core(m) in near else m for m in listed[:SHOWN]]
    return ", ".join(shown) + (f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else "")


def _core(name: str) -> str:
    """Reduce an id to its words and numbers, so that two spellings of the same id become equal."""
    stem = re.sub(r"\.(nii|nrrd|mha|png|jpe?g|tiff?|dcm)(\.gz)?$", "", name.strip().lower())
    words = re.findall(r"[a-z]+|\d+", stem)
    return "-".join(w.lstrip("0") or "0" if w.isdigit() else w for w in words)
