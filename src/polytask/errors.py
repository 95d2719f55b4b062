"""What a person can mend: errors of one line, and problems that are listed all at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Literal


class PolytaskError(Exception):
    """Bad input. The message is one line: which file, subject or column; what was expected; what to do.

    The command line prints it without a traceback and exits with 2.
    """


def nearest(word: str, words: Iterable[str], what: str = "use one of") -> str:
    """The remedy for a wrong word: the nearest right one, else all of them."""
    known = list(words)
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else f"{what} {', '.join(known) or '(there is none)'}"


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
        return f"{self.level}: {where + ': ' if where else ''}{self.message} → {self.remedy} [{self.code}]"
