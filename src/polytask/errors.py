"""What a person can mend: errors of one line, and problems that are listed all at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from heapq import nlargest
from typing import Literal
from unicodedata import category

COMPARED, CLOSEST = 100, 20
"""Words that a wrong one is compared with letter by letter, and how many of them where there are more."""
LISTED = 40
"""Words that one line names."""
LONG = 200
"""Characters of a wrong word that are looked at."""


class PolytaskError(Exception):
    """Bad input. The message is one line: which file, subject or column; what was expected; what to do.

    The command line prints it without a traceback and exits with 2. Line breaks and other control characters, which a
    name in a hostile file can hold, are shown as their codes.
    """

    def __init__(self, message: str = ""):
        super().__init__(show_in_one_line(message))


def show_in_one_line(text: str) -> str:
    """The text with control characters, line breaks and halves of characters as codes (`\\n`)."""
    if text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode("ascii") if category(c) in ("Cc", "Cs", "Zl", "Zp") else c
        for c in text
    )


def nearest(word: str, words: Iterable[str], what: str = "use one of") -> str:
    """The remedy for a wrong word: the nearest right one, else all of them."""
    known = list(words)
    near = get_close_matches(word[:LONG], find_candidates(word[:LONG], known), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else f"{what} {list_words(known) or '(there is none)'}"


def find_candidates(word: str, known: Sequence[str]) -> Sequence[str]:
    """The words worth a close look: all of a few; of many those that begin and end most like the word.

    To compare one word with 3,000 others takes a fifth of a second, and a column can hold thousands of wrong words.
    """
    if len(known) <= COMPARED:
        return known
    turned = word[::-1]
    return nlargest(
        CLOSEST, known, key=lambda k: _count_shared(word, k) + _count_shared(turned, k[: -LONG - 1 : -1])
    )


def _count_shared(a: str, b: str) -> int:
    """Letters that two words have in common at their beginning."""
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def list_words(words: Sequence[str]) -> str:
    """Words for an error of one line: all of a few, the first of many and how many there are."""
    shown = ", ".join(words[:LISTED])
    return f"{shown}, … ({len(words):,} in all)" if len(words) > LISTED else shown


@dataclass(frozen=True)
class Problem:
    """One line of `polytask check`.

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
        """Plain form for `--json`."""
        return asdict(self)

    def __str__(self) -> str:
        place = [self.file, f"row {self.row}" if self.row else "", self.subject and f"subject {self.subject}"]
        where = ", ".join(p for p in place if p)
        line = f"{self.level}: {where + ': ' if where else ''}{self.message} → {self.remedy} [{self.code}]"
        return show_in_one_line(line)
