"""One problem that repeats itself: one line with a count and three examples, however many rows or columns have it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from polytask.errors import Problem

SINGLE = 3
"""Up to that many rows or files with one problem are told one by one: as many as there would be examples."""
EXAMPLES = 3
COLUMNS = 12
"""Up to that many columns, classes or structures with one problem are told one by one."""
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_PARTICULAR = re.compile(r"\S*[/\\]\S*|\S*\d\S*\.[A-Za-z]\w*|(?<![A-Za-z_])[-+]?\d(?:[\w.,×-]*\w)?")
"""Paths, names of files and numbers; a name like PTV56 says what the problem is about and stays."""


@dataclass(frozen=True)
class ProblemGroup:
    """The same problem at one or many places, in the order in which it was found."""

    problems: tuple[Problem, ...]

    @property
    def count(self) -> int:
        """How often it was found."""
        return len(self.problems)

    def as_dict(self) -> dict[str, Any]:
        """The first problem's own keys, with `count` and up to three `examples` (place and message of each)."""
        first = self.problems[0]
        keys = ("file", "row", "subject", "column", "message")
        examples = [{k: getattr(p, k) for k in keys} for p in self.problems[:EXAMPLES]]
        return {**first.as_dict(), "count": self.count, "examples": examples}

    def __str__(self) -> str:
        first, shown = self.problems[0], self.problems[:EXAMPLES]
        if self.count == 1:
            return str(first)
        file = first.file if len({p.file for p in self.problems}) == 1 else ""
        places = [_place(p, with_file=not file) for p in shown]
        where = f"{file}: " if file else ""
        same = len({p.message for p in self.problems}) == 1
        if same:
            told = first.message + (f" ({'; '.join(places)}; …)" if all(places) else "")
        else:
            told = "; ".join(
                f"{p}: {q.message}" if p else q.message for p, q in zip(places, shown, strict=True)
            )
            told += "; …"
        count = f"{self.count:,} times: "
        return f"{first.level}: {where}{count}{told} → {first.remedy} [{first.code}]"


def group_problems(problems: Iterable[Problem]) -> list[ProblemGroup]:
    """Problems that differ in nothing but their place and the names and numbers in them, put together.

    The order is that of the first problem of each group. Few of a kind stay single lines (see `SINGLE`, `COLUMNS`). A
    column with a problem in many rows is a group of its own, unless there are many such columns; the others go
    together.
    """
    by_column = _collect(problems, lambda p: (p.level, p.code, p.column, _pattern(p)))
    often = [found[0] for found in by_column if len(found) > SINGLE]
    columns = Counter((p.level, p.code, _pattern(p)) for p in often)
    alone = {(p.level, p.code, _pattern(p), p.column) for p in often}

    def key(p: Problem) -> tuple[str, ...]:
        kind = (p.level, p.code, _pattern(p))
        own = (*kind, p.column)
        return own if own in alone and columns[kind] <= COLUMNS else kind

    groups: list[tuple[int, ProblemGroup]] = []
    order = {id(p): k for k, found in enumerate(by_column) for p in found}
    for found in _collect((p for column in by_column for p in column), key):
        most = SINGLE if any(p.row > 1 for p in found) else COLUMNS  # row 1 has the names of the columns
        parts = [found] if len(found) > most else [[p] for p in found]
        groups += [(order[id(part[0])], ProblemGroup(tuple(part))) for part in parts]
    return [group for _, group in sorted(groups, key=lambda pair: pair[0])]


def _collect(problems: Iterable[Problem], key: Callable[[Problem], tuple[str, ...]]) -> list[list[Problem]]:
    """Problems of one key together, keys in the order in which they first occur."""
    found: dict[tuple[str, ...], list[Problem]] = {}
    for problem in problems:
        found.setdefault(key(problem), []).append(problem)
    return list(found.values())


def _pattern(problem: Problem) -> str:
    """Message and remedy without what belongs to the place: column, file, quoted words, numbers and paths."""
    text = f"{problem.message.removeprefix(problem.column)} → {problem.remedy}"
    for own in (problem.file, problem.column, problem.subject):
        text = text.replace(own, "…") if len(own) > 3 else text
    return _PARTICULAR.sub("…", _QUOTED.sub("…", text))


def _place(problem: Problem, with_file: bool) -> str:
    parts: Sequence[str] = (
        problem.file if with_file else "",
        f"row {problem.row}" if problem.row else "",
        f"subject {problem.subject}" if problem.subject else "",
    )
    return ", ".join(p for p in parts if p)
