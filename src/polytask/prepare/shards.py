"""Store cases without any file: many of them in one shard, instead of a folder each.

store/@shards/1f.json    {"version": 1, "cases": {KEY: [digest of the recipe, subject], …}}

The shard of a case follows from its key, so any process finds it without an index, and a new subject changes only one
shard. No folder of a case can be called `@shards`, because a file name made from ids has `@` only between two ids.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from polytask.atomic_files import write_text_atomically
from polytask.documents.json_reader import read_json_object
from polytask.errors import PolytaskError

SHARD_FOLDER = "@shards"
SHARD_VERSION = 1
REBUILD_REMEDY = "delete it and run `polytask prepare` again"


@dataclass(frozen=True)
class BareCase:
    """A stored case without files: the digest of its recipe, and its subject."""

    recipe: str
    subject: str

    @property
    def meta(self) -> dict[str, Any]:
        """The case in the form of the `meta.json` that other cases have."""
        empty: dict[str, Any] = {"sources": {}, "content": {}, "images": {}, "targets": {}, "slides": {}}
        return {"version": SHARD_VERSION, "recipe": self.recipe, "subject": self.subject, **empty}


def find_shard_path(store: Path, key: str) -> Path:
    """Return the path of the shard that a case belongs to, whether or not the file exists."""
    return store / SHARD_FOLDER / f"{choose_shard_name(key)}.json"


def choose_shard_name(key: str) -> str:
    """Name the shard of a case by two hexadecimal digits that follow from its key: at most 256 shards."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=1).hexdigest()


def read_bare_case(store: Path, key: str) -> BareCase | None:
    """Read a case without files; None when the store has none of this key. A shard is read again only if it changed."""
    path = find_shard_path(store, key)
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        return None
    return _read_shard(path, changed).get(key)


def write_shard(store: Path, name: str, cases: Mapping[str, BareCase]) -> set[str]:
    """Make one shard hold exactly these cases, whole or not at all; without cases it is removed.

    Returns:
        the keys of cases that are new or changed.

    Raises:
        OSError: the disk refused it.
    """
    path = store / SHARD_FOLDER / f"{name}.json"
    try:
        # A damaged shard counts as empty: it is about to be written again anyway.
        old = _parse_shard(path)
    except (PolytaskError, ValueError, TypeError, KeyError, AttributeError):
        old = {}
    new = {key for key, case in cases.items() if old.get(key) != case}
    if not cases:
        path.unlink(missing_ok=True)
        return new
    if not new and len(old) == len(cases):
        return new
    path.parent.mkdir(exist_ok=True)
    content = {"version": SHARD_VERSION, "cases": {key: [c.recipe, c.subject] for key, c in cases.items()}}
    write_text_atomically(path, json.dumps(content, separators=(",", ":")), durable=True)
    return new


def list_shards(store: Path) -> list[str]:
    """List the names of the shards that exist."""
    return sorted(path.stem for path in (store / SHARD_FOLDER).glob("*.json"))


def sweep_shard_parts(store: Path) -> None:
    """Remove shards that a killed command left half written."""
    for part in (store / SHARD_FOLDER).glob(".*.part"):
        part.unlink(missing_ok=True)


def divide_into_shards(cases: Iterable[tuple[str, BareCase]]) -> dict[str, dict[str, BareCase]]:
    """Sort cases into shards: name of the shard → key → case."""
    shards: dict[str, dict[str, BareCase]] = {}
    for key, case in cases:
        shards.setdefault(choose_shard_name(key), {})[key] = case
    return dict(sorted(shards.items()))


@lru_cache(maxsize=512)
def _read_shard(path: Path, modified_ns: int) -> dict[str, BareCase]:
    """Read a shard, at most once for each time that it was written.

    Args:
        modified_ns: time of the last change of the file; part of the cache's key, so that a new file is read again.
    """
    try:
        return _parse_shard(path)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise PolytaskError(f"{path}: cannot be read ({error}); {REBUILD_REMEDY}") from None


def _parse_shard(path: Path) -> dict[str, BareCase]:
    """Read a shard from disk: key → case; raises when its version or form is another one."""
    content = read_json_object(path, "cases of the store", REBUILD_REMEDY)
    if content["version"] != SHARD_VERSION:
        raise ValueError(f"version {content['version']}, expected {SHARD_VERSION}")
    return {
        str(key): BareCase(str(recipe), str(subject)) for key, (recipe, subject) in content["cases"].items()
    }
