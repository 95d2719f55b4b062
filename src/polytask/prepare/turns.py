"""Large cases take turns: whatever the number of threads, one of them at a time is in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock

from polytask.prepare.make_case import Made
from polytask.prepare.recipe import Recipe

LARGE = 64 << 20
"""Bytes of its files from which a case is large: a CT of 512 × 512 × 300, compressed."""


def make_in_turns(make: Callable[[Recipe], Made]) -> Callable[[Recipe], Made]:
    """The same function for several threads: of the large cases it makes one at a time, of the others any number."""
    turn = Lock()

    def make_one(recipe: Recipe) -> Made:
        if sum(map(count_bytes, recipe.files)) < LARGE:
            return make(recipe)
        with turn:
            return make(recipe)

    return make_one


def count_bytes(path: Path) -> int:
    """Bytes of a file, or of all files of a folder; 0 for what is not there, which its reader names."""
    try:
        if path.is_dir():
            return sum(part.stat().st_size for part in path.rglob("*"))
        return path.stat().st_size
    except OSError:
        return 0
