"""Names that plans had before: plans, runs, bundles and `--set` of earlier versions are read with the new ones."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any

from polytask.errors import PolytaskError

LOG = logging.getLogger("polytask.plan")
OLD_SHARED_KEYS = {
    "model": {"time": "visit_fusion", "sources": "input_fusion"},
    "training": {"optimiser": "optimizer"},
}
"""Section of `shared` → its old keys → the present ones."""
OLD_FOLD_KEYS = {"normalisation": "normalization"}
"""Old key of a fold → the present one."""


def translate_old_keys(content: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the content of a plan with its old keys replaced, also in its reasons; log each old key once per process.

    Args:
        content: the plan as it was read. Content that does not have the form of a plan is returned unchanged, for the
            checks that follow.
        where: the file or the option, for the notice.

    Raises:
        PolytaskError: a value has both its old and its new key.
    """
    translated = dict(content)
    if isinstance(shared := translated.get("shared"), Mapping):
        sections = {
            name: _rename_keys(section, OLD_SHARED_KEYS[name], f"{name}.", where)
            for name in OLD_SHARED_KEYS
            if isinstance(section := shared.get(name), Mapping)
        }
        translated["shared"] = _translate_reasons({**shared, **sections})
    if isinstance(folds := translated.get("folds"), Mapping):
        translated["folds"] = {
            number: _translate_reasons(_rename_keys(fold, OLD_FOLD_KEYS, "folds.*.", where))
            if isinstance(fold, Mapping)
            else fold
            for number, fold in folds.items()
        }
    return translated


def _rename_keys(
    section: Mapping[str, Any], new_names: Mapping[str, str], prefix: str, where: str
) -> dict[str, Any]:
    for old in [key for key in new_names if key in section]:
        if new_names[old] in section:
            raise PolytaskError(
                f"{prefix}{old} is the former name of {prefix}{new_names[old]}, and the plan has both; remove {old}"
            )
        warn_of_old_name(f"{prefix}{old}", f"{prefix}{new_names[old]}", where)
    return {new_names.get(key, key): value for key, value in section.items()}


def _translate_reasons(part: dict[str, Any]) -> dict[str, Any]:
    if isinstance(why := part.get("why"), Mapping):
        part["why"] = {translate_old_path(str(key)): reason for key, reason in why.items()}
    return part


def translate_old_path(path: str) -> str:
    """Replace an old key in a path: `model.time` → `model.visit_fusion`, `folds.0.normalisation.scan` and the like.

    `shared.` and `folds.N.` in front may be left out; other paths stay.
    """
    words = path.split(".")
    at = {"shared": 1, "folds": 2}.get(words[0], 0)
    if len(words) > at + 1 and (new := OLD_SHARED_KEYS.get(words[at], {}).get(words[at + 1])):
        words[at + 1] = new
    elif len(words) > at and words[at] in OLD_FOLD_KEYS:
        words[at] = OLD_FOLD_KEYS[words[at]]
    return ".".join(words)


def restore_old_shared_keys(shared: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan's shared part under the names that hashes of earlier runs were made from."""
    former = {
        name: _restore_keys(shared[name], new_names)
        for name, new_names in OLD_SHARED_KEYS.items()
        if name in shared
    }
    return {**shared, **former}


def restore_old_fold_keys(fold: Mapping[str, Any]) -> dict[str, Any]:
    """Return a fold of a plan under the names that hashes of earlier runs were made from."""
    return _restore_keys(fold, OLD_FOLD_KEYS)


def _restore_keys(section: Mapping[str, Any], new_names: Mapping[str, str]) -> dict[str, Any]:
    former = {new: old for old, new in new_names.items()}
    return {former.get(key, key): value for key, value in section.items()}


@cache
def warn_of_old_name(old: str, new: str, where: str) -> None:
    """Log that a name has changed, once for each place."""
    LOG.warning("%s: %s is now called %s; the old name is still read", where, old, new)
