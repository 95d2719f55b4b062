"""Infer what a column of a foreign table holds: its kind as a target, its type as an input, its level."""

from __future__ import annotations

import re
from typing import Literal

from polytask.cohort.header import Column
from polytask.cohort.importers.cohort_draft import list_examples
from polytask.cohort.importers.foreign_column import ForeignColumn
from polytask.cohort.importers.foreign_sheet import ForeignSheet
from polytask.cohort.importers.foreign_words import order_grade_words

MAX_INTEGER_CLASSES = 10
"""Up to this many different integers are classes; more are a regression."""
MAX_CATEGORY_WORDS = 20
"""A column with more different words than this is free text."""
_COMMA_DECIMAL = re.compile(r"[+-]?\d+,\d+")
MAX_ODD_SHARE = 0.5
"""A column was meant to hold numbers if a smaller share of its filled cells than this are not numbers."""


def infer_target_kind(sheet: ForeignSheet, column: str) -> tuple[str, str]:
    """Infer the task kind of a column. Returns (kind, reason); kind "" means to leave the column out."""
    parsed = sheet.parse(column)
    words = parsed.words
    if len(words) < 2:
        return "", "the same in every row" if words else "no cell is filled"
    if parsed.numeric:
        whole = all(value is None or value.is_integer() for value in parsed.numbers)
        # Few repeats (less than two cells per value) speak for measurements, not for classes.
        if not whole or len(words) > MAX_INTEGER_CLASSES or parsed.known < 2 * len(words):
            return "regression", f"{len(words)} different numbers"
    elif is_mostly_numeric(parsed):
        return "regression", f"{parsed.known - len(parsed.odd)} of {parsed.known} cells are numbers"
    elif len(words) > MAX_CATEGORY_WORDS or parsed.known < 2 * len(words):
        return "", _describe_word_column(parsed)
    if order_grade_words(column, words):
        return "ordinal", f"{len(words)} ordered values of a column called {column!r}"
    return "classification", f"{len(words)} different values"


def make_input_column(sheet: ForeignSheet, column: str) -> tuple[Column | None, str]:
    """Make a column of the table input. Returns (column, its type in words), or (None, why it is left out)."""
    parsed = sheet.parse(column)
    words, level = parsed.words, as_level_literal(infer_column_level(sheet, column))
    if len(words) < 2:
        return None, "the same in every row" if words else "no cell is filled"
    if parsed.numeric or is_mostly_numeric(parsed):
        return Column(type="number", level=level), f"number, level {level}"
    if len(words) > MAX_CATEGORY_WORDS or (
        len(words) > MAX_INTEGER_CLASSES and parsed.known < 2 * len(words)
    ):
        return None, _describe_word_column(parsed)
    return Column(
        type="category", level=level, values=words
    ), f"category {list_examples(words, 8)}, level {level}"


def is_mostly_numeric(parsed: ForeignColumn) -> bool:
    """Whether a column holds many different numbers and a few cells that say something else."""
    numbers = {value for value in parsed.numbers if value is not None}
    return len(numbers) > MAX_INTEGER_CLASSES and len(parsed.odd) < MAX_ODD_SHARE * parsed.known


def _describe_word_column(parsed: ForeignColumn) -> str:
    """Describe a column of many different words, for the note that it is left out."""
    commas = sum(1 for cell in parsed.odd if _COMMA_DECIMAL.fullmatch(cell))
    if commas > MAX_ODD_SHARE * parsed.known:
        return "numbers with a decimal comma; --decimal comma reads them"
    return "free text"


def infer_column_level(sheet: ForeignSheet, column: str) -> str:
    """Infer the level of a column: `subject` if it is the same in all rows of each subject, else `visit`.

    Without visits, or if no subject has it in two rows, nothing shows that it belongs to the subject: `visit`.
    """
    if "visit" not in sheet.identity:
        return "visit"
    by_subject: dict[str, list[str]] = {}
    for row, text in zip(sheet.rows, sheet.parse(column).texts, strict=True):
        if text:
            by_subject.setdefault(row["subject"], []).append(text)
    several = [texts for texts in by_subject.values() if len(texts) > 1]
    return "subject" if several and all(len(set(texts)) == 1 for texts in several) else "visit"


def as_level_literal(level: str) -> Literal["visit", "subject"]:
    """Convert text to a level of the header: `subject`, else `visit`."""
    return "subject" if level == "subject" else "visit"
