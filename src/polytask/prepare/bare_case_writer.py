"""Store cases without files in the shards of the store; a shard that has not changed is not written again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from polytask.prepare.make_case import CaseResult, NotStoredError, is_case_stored
from polytask.prepare.recipe import Recipe
from polytask.prepare.shards import BareCase, divide_into_shards, list_shards, sweep_shard_parts, write_shard

BARE_CASE_BYTES = 150
"""About how many bytes a case takes in a shard; used in the error for a full disk."""


def store_bare_cases(recipes: Sequence[Recipe], store: Path) -> Iterator[tuple[str, CaseResult]]:
    """Store exactly these cases without files, shard by shard, and yield (key, result) for each.

    Other cases without files are removed from the shards. A case that an older version stored in a folder of its own
    stays there. A folder of the same key that was made from files is removed, because the case has no files anymore.

    Raises:
        NotStoredError: the disk refused a shard.
    """
    folders = {path.name for path in store.iterdir()}
    there = {r.key for r in recipes if r.key in folders and is_case_stored(r, store, {})}
    cases = [(r.key, BareCase(r.digest({}), r.subject)) for r in recipes]
    shards = divide_into_shards((key, case) for key, case in cases if key not in there)
    for key, case in cases:
        if key in there:
            yield key, (case.recipe, 0, False)
    try:
        sweep_shard_parts(store)
        # Shards on disk without any of these cases are visited too: writing no cases removes them.
        for name in sorted({*shards, *list_shards(store)}):
            shard = shards.get(name, {})
            for key in folders.intersection(shard):
                shutil.rmtree(store / key)
            new = write_shard(store, name, shard)
            for key, case in shard.items():
                yield key, (case.recipe, 0, key in new)
    except OSError as error:
        raise NotStoredError(error, BARE_CASE_BYTES) from error
