"""Make large cases one at a time, so that only one of them is in memory, whatever the number of threads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock

from polytask.prepare.make_case import CaseResult
from polytask.prepare.recipe import Recipe

LARGE_CASE_BYTES = 64 << 20
"""A case whose files have at least this many bytes is large: a compressed CT of 512 × 512 × 300."""


def serialize_large_cases(make: Callable[[Recipe], CaseResult]) -> Callable[[Recipe], CaseResult]:
    """Wrap `make` for use in several threads: large cases run one at a time, other cases at any time."""
    turn = Lock()

    def make_one(recipe: Recipe) -> CaseResult:
        if sum(map(count_file_bytes, recipe.files)) < LARGE_CASE_BYTES:
            return make(recipe)
        with turn:
            return make(recipe)

    return make_one


def count_file_bytes(path: Path) -> int:
    """Count the bytes of a file, or of all files of a folder; 0 for a missing one, which its reader will report."""
    try:
        if path.is_dir():
            return sum(part.stat().st_size for part in path.rglob("*"))
        return path.stat().st_size
    except OSError:
        return 0
