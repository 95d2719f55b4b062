"""Errors that people can fix: one-line errors, and problems of a cohort that are listed all at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from heapq import nlargest
from typing import Literal
from unicodedata import category

MAX_COMPARED_WORDS, MAX_CLOSEST_WORDS = 100, 20
"""Up to 100 allowed words are all compared letter by letter with a wrong one. Of more, only the 20 closest are."""
MAX_SUGGESTED_WORDS = 40
"""Most words that one line lists."""
MAX_COMPARED_LETTERS = 200
"""Most characters of a wrong word that are compared."""


class PolytaskError(Exception):
    """Raised for bad input. The message is one line: which file, subject or column; what was expected; what to do.

    The command line prints it without a traceback and exits with 2. Line breaks and other control characters, which a
    name in a hostile file can have, are shown as their codes.
    """

    def __init__(self, message: str = ""):
        super().__init__(show_in_one_line(message))


def show_in_one_line(text: str) -> str:
    """Replace control characters, line breaks and halves of characters by their codes (`\\n`)."""
    if text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode("ascii") if category(c) in ("Cc", "Cs", "Zl", "Zp") else c
        for c in text
    )


def suggest_word(word: str, words: Iterable[str], what: str = "use one of") -> str:
    """Make the remedy for a wrong word: name the most similar allowed word, else list all of them.

    Args:
        word: the wrong word.
        words: the allowed ones.
        what: begins the sentence when all are listed.
    """
    known = list(words)
    near = get_close_matches(
        word[:MAX_COMPARED_LETTERS], find_similar_words(word[:MAX_COMPARED_LETTERS], known), n=1, cutoff=0.6
    )
    return f"did you mean {near[0]!r}?" if near else f"{what} {list_words(known) or '(there is none)'}"


def find_similar_words(word: str, known: Sequence[str]) -> Sequence[str]:
    """Choose the words that are worth a slow comparison: all of a few; of many, those with the most similar ends.

    A slow comparison of one word with 3,000 others takes a fifth of a second, and a column can have thousands of wrong
    words. So many words are first sorted by the letters that they share with it at beginning and end.
    """
    if len(known) <= MAX_COMPARED_WORDS:
        return known
    turned = word[::-1]
    # The ends are compared as beginnings of the reversed words; the slice reverses the last letters only.
    return nlargest(
        MAX_CLOSEST_WORDS,
        known,
        key=lambda k: (
            _count_shared_letters(word, k)
            + _count_shared_letters(turned, k[: -MAX_COMPARED_LETTERS - 1 : -1])
        ),
    )


def _count_shared_letters(a: str, b: str) -> int:
    """Count the letters that two words have in common at their beginning."""
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def list_words(words: Sequence[str]) -> str:
    """List words for a one-line error: all of a few; of many, the first ones and how many there are."""
    shown = ", ".join(words[:MAX_SUGGESTED_WORDS])
    return f"{shown}, … ({len(words):,} in all)" if len(words) > MAX_SUGGESTED_WORDS else shown


@dataclass(frozen=True)
class Problem:
    """One problem of a cohort, as one line of `polytask check`.

    Args:
        level: `error` stops every later verb, `warning` does not.
        code: short stable name for scripts, e.g. `missing-file`.
        message: what is wrong and what was expected.
        remedy: what to do.
        file: the file concerned, relative to the cohort where possible.
        row: line number in the table (the header is line 1), 0 when no row is concerned.
        subject: the subject concerned.
        column: the column concerned.
    """

    level: Literal["error", "warning"]
    code: str
    message: str
    remedy: str
    file: str = ""
    row: int = 0
    subject: str = ""
    column: str = ""

    def as_dict(self) -> dict[str, str | int]:
        """Return the problem as plain data, for `--json`."""
        return asdict(self)

    def __str__(self) -> str:
        place = [self.file, f"row {self.row}" if self.row else "", self.subject and f"subject {self.subject}"]
        where = ", ".join(p for p in place if p)
        line = f"{self.level}: {where + ': ' if where else ''}{self.message} → {self.remedy} [{self.code}]"
        return show_in_one_line(line)
