"""What a document can have wrong, in parts, so that a caller can word it for its own readers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from polytask.errors import PolytaskError

LONGEST = 160
"""Characters of a library's words that are repeated to a person."""


class DocumentError(PolytaskError):
    """A document that cannot be read, as one line: `PLACE: PROBLEM; expected WHAT; REMEDY`.

    Args:
        place: the file, or the option, with the line where one is known.
        problem: what is wrong.
        expected: what should stand there.
        remedy: what to do.
        missing: there is no such file.
    """

    def __init__(self, place: str, problem: str, expected: str, remedy: str, missing: bool = False):
        super().__init__(f"{place}: {problem}; expected {expected}; {remedy}")
        self.place, self.problem, self.expected, self.remedy = place, problem, expected, remedy
        self.missing = missing

    def __reduce__(self) -> tuple[type[DocumentError], tuple[str, str, str, str, bool]]:
        """How it travels from a worker process."""
        return type(self), (self.place, self.problem, self.expected, self.remedy, self.missing)


class MalformedError(ValueError):
    """What is wrong with a text, and in which line (0 where that is not known); it never leaves this room."""

    def __init__(self, problem: str, line: int = 0):
        super().__init__(problem)
        self.problem, self.line = problem, line


@contextmanager
def refuse_odd_content(place: object, expected: str, remedy: str) -> Iterator[None]:
    """Turn whatever odd content leads the code inside to into one line with its place.

    A document that was read well can still hold a word where a number should stand, or lack a key. The code that
    turns it into objects stands inside; errors that are worded for people already pass through.
    """
    try:
        yield
    except PolytaskError:
        raise
    except KeyError as error:
        said = f"{error} is missing"
        raise DocumentError(str(place), f"not {expected} ({shorten(said)})", expected, remedy) from None
    except (ValueError, TypeError, AttributeError, IndexError, ArithmeticError, RecursionError) as error:
        said = str(error) or type(error).__name__
        raise DocumentError(str(place), f"not {expected} ({shorten(said)})", expected, remedy) from None


def shorten(text: object) -> str:
    """The words of another library in one line of bounded length."""
    line = " ".join(str(text).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
