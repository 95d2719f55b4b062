"""The names shown on a page: titles of tasks and classes from the header, or the plain names without a title."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from polytask.cohort.header import Header


@dataclass(frozen=True)
class DisplayNames:
    """The titles of a cohort's tasks and classes.

    Args:
        tasks: task → title. words: task → class, label or structure → title.
    """

    tasks: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, header: Header) -> DisplayNames:
        """Read the titles from the header of a cohort."""
        tasks = {n: t.title for n, t in header.tasks.items() if t.title}
        words: dict[str, Any] = {n: getattr(t, "titles", {}) for n, t in header.tasks.items()}
        return cls(tasks, words)

    def task(self, name: str) -> str:
        """Return the title of a task."""
        return self.tasks.get(name, name)

    def word(self, task: str, word: str) -> str:
        """Return the title of a class, label or structure of a task."""
        return self.words.get(task, {}).get(word, word)

    def all_words(self, task: str, words: Sequence[str]) -> list[str]:
        """Return the titles of several classes, labels or structures of a task."""
        return [self.word(task, w) for w in words]


PLAIN_NAMES = DisplayNames()
"""Shows all names as they are, without titles."""
