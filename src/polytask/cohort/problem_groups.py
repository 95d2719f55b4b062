"""Group problems that repeat: one line with a count and three examples instead of one line per row or column."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from polytask.errors import Problem

MAX_SINGLE_PROBLEMS = 3
"""Up to this many rows or files with the same problem are listed one by one (no more than there would be examples)."""
EXAMPLES_PER_GROUP = 3
MAX_SINGLE_COLUMNS = 12
"""Up to this many columns, classes or structures with the same problem are listed one by one."""
_QUOTED_WORD = re.compile(r"'[^']*'|\"[^\"]*\"")
_PARTICULAR_WORD = re.compile(r"\S*[/\\]\S*|\S*\d\S*\.[A-Za-z]\w*|(?<![A-Za-z_])[-+]?\d(?:[\w.,×-]*\w)?")
"""Matches paths, file names and numbers. A name like PTV56 is not matched: it says what the problem is about."""


@dataclass(frozen=True)
class ProblemGroup:
    """The same problem at one or several places, in the order in which the places were found."""

    problems: tuple[Problem, ...]

    @property
    def count(self) -> int:
        """Number of places that have the problem."""
        return len(self.problems)

    def as_dict(self) -> dict[str, Any]:
        """Return the keys of the first problem, plus `count` and up to three `examples` (place and message)."""
        first = self.problems[0]
        keys = ("file", "row", "subject", "column", "message")
        examples = [{k: getattr(p, k) for k in keys} for p in self.problems[:EXAMPLES_PER_GROUP]]
        return {**first.as_dict(), "count": self.count, "examples": examples}

    def __str__(self) -> str:
        first, shown = self.problems[0], self.problems[:EXAMPLES_PER_GROUP]
        if self.count == 1:
            return str(first)
        file = first.file if len({p.file for p in self.problems}) == 1 else ""
        places = [_format_problem_place(p, with_file=not file) for p in shown]
        where = f"{file}: " if file else ""
        same = len({p.message for p in self.problems}) == 1
        if same:
            text = first.message + (f" ({'; '.join(places)}; …)" if all(places) else "")
        else:
            text = "; ".join(
                f"{p}: {q.message}" if p else q.message for p, q in zip(places, shown, strict=True)
            )
            text += "; …"
        count = f"{self.count:,} times: "
        return f"{first.level}: {where}{count}{text} → {first.remedy} [{first.code}]"


def group_problems(problems: Iterable[Problem]) -> list[ProblemGroup]:
    """Group problems that differ only in their place and in the names and numbers of their text.

    Groups come in the order of their first problem. A few problems of one kind stay single lines (see
    `MAX_SINGLE_PROBLEMS`, `MAX_SINGLE_COLUMNS`). A column with a problem in many rows is a group of its own, unless
    there are many such columns; then all of them form one group.
    """
    by_column = _collect_by_key(problems, lambda p: (p.level, p.code, p.column, _make_problem_pattern(p)))
    often = [repeats[0] for repeats in by_column if len(repeats) > MAX_SINGLE_PROBLEMS]
    columns = Counter((p.level, p.code, _make_problem_pattern(p)) for p in often)
    alone = {(p.level, p.code, _make_problem_pattern(p), p.column) for p in often}

    def key(p: Problem) -> tuple[str, ...]:
        kind = (p.level, p.code, _make_problem_pattern(p))
        own = (*kind, p.column)
        return own if own in alone and columns[kind] <= MAX_SINGLE_COLUMNS else kind

    groups: list[tuple[int, ProblemGroup]] = []
    # id() tells apart problems that are equal in all fields; `problems` are alive here, so ids are not reused.
    order = {id(p): k for k, repeats in enumerate(by_column) for p in repeats}
    for repeats in _collect_by_key((p for column in by_column for p in column), key):
        # Row 1 has the names of the columns, so that a problem there is about a column.
        most = MAX_SINGLE_PROBLEMS if any(p.row > 1 for p in repeats) else MAX_SINGLE_COLUMNS
        parts = [repeats] if len(repeats) > most else [[p] for p in repeats]
        groups += [(order[id(part[0])], ProblemGroup(tuple(part))) for part in parts]
    return [group for _, group in sorted(groups, key=lambda pair: pair[0])]


def _collect_by_key(
    problems: Iterable[Problem], key: Callable[[Problem], tuple[str, ...]]
) -> list[list[Problem]]:
    """Collect problems of the same key into lists, in the order in which the keys first occur."""
    problems_by_key: dict[tuple[str, ...], list[Problem]] = {}
    for problem in problems:
        problems_by_key.setdefault(key(problem), []).append(problem)
    return list(problems_by_key.values())


def _make_problem_pattern(problem: Problem) -> str:
    """Return message and remedy with everything particular (column, file, quotes, numbers, paths) replaced by "…"."""
    text = f"{problem.message.removeprefix(problem.column)} → {problem.remedy}"
    for own in (problem.file, problem.column, problem.subject):
        # Short names such as "a" or "age" occur inside other words; replacing them would garble the text.
        text = text.replace(own, "…") if len(own) > 3 else text
    return _PARTICULAR_WORD.sub("…", _QUOTED_WORD.sub("…", text))


def _format_problem_place(problem: Problem, with_file: bool) -> str:
    parts: Sequence[str] = (
        problem.file if with_file else "",
        f"row {problem.row}" if problem.row else "",
        f"subject {problem.subject}" if problem.subject else "",
    )
    return ", ".join(p for p in parts if p)
