"""Names that plans had before: plans, runs, bundles and `--set` of earlier versions are read with the new ones."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any

from polytask.errors import PolytaskError

LOG = logging.getLogger("polytask.plan")
OLD_MODEL_KEYS = {"time": "visit_fusion", "sources": "input_fusion"}
"""Old key below `shared.model` → the present one."""


def translate_old_keys(content: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The content of a plan with its old keys replaced, also in its reasons; says so once per key and process.

    Args:
        where: the file or the option, for the notice.

    Raises:
        PolytaskError: an old and a new key stand for one value.
    """
    translated = dict(content)
    shared = translated.get("shared")
    model = shared.get("model") if isinstance(shared, Mapping) else None
    if not isinstance(shared, Mapping) or not isinstance(model, Mapping):
        return translated
    for old in [key for key in OLD_MODEL_KEYS if key in model]:
        if OLD_MODEL_KEYS[old] in model:
            raise PolytaskError(
                f"shared.model: {old} is the former name of {OLD_MODEL_KEYS[old]}, and both are there; "
                f"leave {old} out"
            )
        warn_of_old_name(f"model.{old}", f"model.{OLD_MODEL_KEYS[old]}", where)
    shared = {**shared, "model": {OLD_MODEL_KEYS.get(key, key): value for key, value in model.items()}}
    if isinstance(why := shared.get("why"), Mapping):
        shared["why"] = {translate_old_path(key): reason for key, reason in why.items()}
    return translated | {"shared": shared}


def translate_old_path(path: str) -> str:
    """`model.time` → `model.visit_fusion`, with or without `shared.` in front; others stay."""
    head, _, key = path.rpartition(".")
    return (
        f"{head}.{OLD_MODEL_KEYS[key]}"
        if head in ("model", "shared.model") and key in OLD_MODEL_KEYS
        else path
    )


def restore_old_keys(model: Mapping[str, Any]) -> dict[str, Any]:
    """A plan's `model` under the names that hashes of earlier runs were made from."""
    former = {new: old for old, new in OLD_MODEL_KEYS.items()}
    return {former.get(key, key): value for key, value in model.items()}


@cache
def warn_of_old_name(old: str, new: str, where: str) -> None:
    """Log that a name has changed, once for each place."""
    LOG.warning("%s: %s is now called %s; the old name is still read", where, old, new)
