"""How a page writes tasks, classes and columns: the titles of the header, or its names where it gives none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from polytask.cohort.header import Header


@dataclass(frozen=True)
class Names:
    """Titles.

    Args:
        tasks: task → title. words: task → class, label or structure → title.
    """

    tasks: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, header: Header) -> Names:
        """Those a header gives."""
        tasks = {n: t.title for n, t in header.tasks.items() if t.title}
        words: dict[str, Any] = {n: getattr(t, "titles", {}) for n, t in header.tasks.items()}
        return cls(tasks, words)

    def task(self, name: str) -> str:
        """A task."""
        return self.tasks.get(name, name)

    def word(self, task: str, word: str) -> str:
        """A class, label or structure of a task."""
        return self.words.get(task, {}).get(word, word)

    def all_words(self, task: str, words: Sequence[str]) -> list[str]:
        """Several of them."""
        return [self.word(task, w) for w in words]


PLAIN = Names()
"""The header's names as they are."""
