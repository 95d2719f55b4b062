"""The page of old and new names: every new name is there, in the module that the page says."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"- `(?P<old>[\w.]+)`(?: → `(?P<new>[\w.]+)`)?(?:: (?P<names>.*))?$")
LINES = [
    line
    for line in (ROOT / "docs/renames.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("- `")
]


@cache
def list_names(module: str) -> frozenset[str] | None:
    """What a module of the package defines or imports, fields of its classes included; None where it is not there."""
    place = ROOT / "src/polytask" / module.replace(".", "/")
    path = next((p for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file()), None)
    if path is None:
        return None
    names = set[str]()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
    return frozenset(names)


def find_missing(line: str) -> list[str]:
    """New names of a line that nobody finds where it says."""
    found = LINE.match(line)
    if found is None:
        return [line]
    module = found["new"] or found["old"]
    missing = [module] if list_names(module) is None else []
    for name in re.findall(r"`\w+` → `([\w.]+)`", found["names"] or ""):
        place, _, last = name.rpartition(".")
        missing += [] if last in (list_names(place or module) or ()) else [name]
    return missing


def test_every_new_name_is_there() -> None:
    assert len(LINES) > 400
    assert {line.split("`")[1]: missing for line in LINES if (missing := find_missing(line))} == {}


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("- `training.turn` → `training.step`: `a` → `take_step`", []),
        ("- `training.turn` → `training.step`: `a` → `take_steps`", ["take_steps"]),
        ("- `training.turn` → `training.steps`", ["training.steps"]),
        ("- `training.step`: `a` → `training.loop.take_step_twice`", ["training.loop.take_step_twice"]),
        ("- training", ["- training"]),
    ],
)
def test_a_name_that_is_not_there_is_found(line: str, missing: list[str]) -> None:
    assert find_missing(line) == missing
