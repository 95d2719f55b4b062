"""Cases without files into the shards of the store: what has not changed is not written again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from polytask.prepare.make_case import Made, NotStoredError, finished
from polytask.prepare.recipe import Recipe
from polytask.prepare.shards import BareCase, divide_into_shards, list_shards, sweep_parts, write_shard

BYTES = 150
"""A case takes in a shard, about: for the error of a full disk."""


def store_bare_cases(recipes: Sequence[Recipe], store: Path) -> Iterator[tuple[str, Made]]:
    """Store these cases, and no others without files → key and what was done, shard by shard.

    A case that an older version stored in a folder of its own stays there; a folder of the same key that was made from
    files is removed, for the case has none any more.

    Raises:
        NotStoredError: the disk refused a shard.
    """
    folders = {path.name for path in store.iterdir()}
    there = {r.key for r in recipes if r.key in folders and finished(r, store, {})}
    cases = [(r.key, BareCase(r.digest({}), r.subject)) for r in recipes]
    shards = divide_into_shards((key, case) for key, case in cases if key not in there)
    for key, case in cases:
        if key in there:
            yield key, (case.recipe, 0, False)
    try:
        sweep_parts(store)
        for name in sorted({*shards, *list_shards(store)}):
            shard = shards.get(name, {})
            for key in folders.intersection(shard):
                shutil.rmtree(store / key)
            new = write_shard(store, name, shard)
            for key, case in shard.items():
                yield key, (case.recipe, 0, key in new)
    except OSError as error:
        raise NotStoredError(error, BYTES) from error
