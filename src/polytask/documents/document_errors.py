"""Errors of documents. Their parts are kept apart, so that a caller can word them for its own readers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from polytask.errors import PolytaskError

MAX_QUOTED_CHARACTERS = 160
"""Most characters of another library's message that are repeated to people."""


class DocumentError(PolytaskError):
    """Raised when a document cannot be read. One line: `PLACE: PROBLEM; expected WHAT; REMEDY`.

    Args:
        place: the file or the option, with the number of the line where it is known.
        problem: what is wrong.
        expected: what should stand there.
        remedy: what to do.
        missing: whether there is no such file.
    """

    def __init__(self, place: str, problem: str, expected: str, remedy: str, missing: bool = False):
        super().__init__(f"{place}: {problem}; expected {expected}; {remedy}")
        self.place, self.problem, self.expected, self.remedy = place, problem, expected, remedy
        self.missing = missing

    def __reduce__(self) -> tuple[type[DocumentError], tuple[str, str, str, str, bool]]:
        """Tell pickle how to copy the error from a worker process; by default it would pass only the message."""
        return type(self), (self.place, self.problem, self.expected, self.remedy, self.missing)


class MalformedError(ValueError):
    """Raised for a fault in a text, with its line (0 where unknown). Callers outside `documents` never see it."""

    def __init__(self, problem: str, line: int = 0):
        super().__init__(problem)
        self.problem, self.line = problem, line


@contextmanager
def convert_content_errors(place: object, expected: str, remedy: str) -> Iterator[None]:
    """Turn the exceptions that odd content causes inside the block into one-line errors with the document's place.

    A document that is valid YAML or JSON can still have a word where a number should be, or lack a key. Put the code
    that makes objects of it inside the block. Errors that are already worded for people pass through.
    """
    try:
        yield
    except PolytaskError:
        raise
    except KeyError as error:
        message = f"{error} is missing"
        raise DocumentError(
            str(place), f"not {expected} ({shorten_message(message)})", expected, remedy
        ) from None
    except (ValueError, TypeError, AttributeError, IndexError, ArithmeticError, RecursionError) as error:
        message = str(error) or type(error).__name__
        raise DocumentError(
            str(place), f"not {expected} ({shorten_message(message)})", expected, remedy
        ) from None


def shorten_message(message: object) -> str:
    """Shorten the message of another library to one line of at most `MAX_QUOTED_CHARACTERS` characters."""
    line = " ".join(str(message).split())
    return line if len(line) <= MAX_QUOTED_CHARACTERS else line[: MAX_QUOTED_CHARACTERS - 1] + "…"
