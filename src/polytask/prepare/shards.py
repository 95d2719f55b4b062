"""Cases without a single file: many to a shard of the store instead of a folder each.

store/@shards/1f.json    {"version": 1, "cases": {KEY: [digest of the recipe, subject], …}}

A case's shard follows from its key, so that any process finds it without an index, and a new subject changes one shard.
No folder of a case can be called `@shards`: in a file name made from ids, `@` stands between two of them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from polytask.documents.json_reader import read_json_object
from polytask.errors import PolytaskError

SHARDS = "@shards"
VERSION = 1
AGAIN = "delete it and run `polytask prepare` again"


@dataclass(frozen=True)
class BareCase:
    """What is kept of a case without files: the digest of its recipe, and whose it is."""

    recipe: str
    subject: str

    @property
    def meta(self) -> dict[str, Any]:
        """In the form of the `meta.json` of other cases."""
        empty: dict[str, Any] = {"sources": {}, "content": {}, "images": {}, "targets": {}, "slides": {}}
        return {"version": VERSION, "recipe": self.recipe, "subject": self.subject, **empty}


def shard_path(store: Path, key: str) -> Path:
    """The shard that holds a case, whether or not it is there."""
    return store / SHARDS / f"{shard_name(key)}.json"


def shard_name(key: str) -> str:
    """Two hexadecimal digits that follow from the key: 256 shards at most."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=1).hexdigest()


def read_bare_case(store: Path, key: str) -> BareCase | None:
    """A case without files, None when the store has none of this key. A shard is read once, until it changes."""
    path = shard_path(store, key)
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        return None
    return _read_shard(path, changed).get(key)


def write_shard(store: Path, name: str, cases: Mapping[str, BareCase]) -> set[str]:
    """Bring one shard to exactly these cases, whole or not at all; without cases it is removed.

    Returns:
        the keys of those that were not there as they are now.

    Raises:
        OSError: the disk refused it.
    """
    path = store / SHARDS / f"{name}.json"
    try:
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
    part = path.with_name(f".{path.name}.part")
    content = {"version": VERSION, "cases": {key: [c.recipe, c.subject] for key, c in cases.items()}}
    try:
        with part.open("w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=True, separators=(",", ":"))
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return new


def list_shards(store: Path) -> list[str]:
    """Names of the shards that are there."""
    return sorted(path.stem for path in (store / SHARDS).glob("*.json"))


def sweep_parts(store: Path) -> None:
    """Remove what a killed command left half written."""
    for part in (store / SHARDS).glob(".*.part"):
        part.unlink(missing_ok=True)


def divide_into_shards(cases: Iterable[tuple[str, BareCase]]) -> dict[str, dict[str, BareCase]]:
    """Shard → its cases by key."""
    found: dict[str, dict[str, BareCase]] = {}
    for key, case in cases:
        found.setdefault(shard_name(key), {})[key] = case
    return dict(sorted(found.items()))


@lru_cache(maxsize=512)
def _read_shard(path: Path, changed: int) -> dict[str, BareCase]:
    """`changed`: when the file was written, so that a shard made anew is read anew."""
    try:
        return _parse_shard(path)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise PolytaskError(f"{path}: cannot be read ({error}); {AGAIN}") from None


def _parse_shard(path: Path) -> dict[str, BareCase]:
    content = read_json_object(path, "cases of the store", AGAIN)
    if content["version"] != VERSION:
        raise ValueError(f"version {content['version']}, expected {VERSION}")
    return {
        str(key): BareCase(str(recipe), str(subject)) for key, (recipe, subject) in content["cases"].items()
    }
