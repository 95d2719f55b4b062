"""Types for text and names in a header: always strings, even where YAML would read something else."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

RESERVED_COLUMNS = ("subject", "visit", "day", "site", "split", "fold", "seed", "member", "inputs_missing")
"""Columns of the table and of `predictions.csv`, whose names no input and no task may have."""
RESERVED_TASKS = ("input",)
"""Words with which columns of `predictions.csv` begin that belong to no task, such as `input.ood_p`."""


class StrictModel(BaseModel):
    """The base class of everything in the header: unknown keys are errors, values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def check_yaml_text(value: Any) -> Any:
    """Check what YAML made of a word: `yes`, `1.50` and `2020-01-01` lose their text, so they must be in quotes."""
    # Booleans first, since Python counts True as an integer.
    if isinstance(value, bool):
        raise PydanticCustomError(
            "quote",
            'YAML reads this word as {what}: quote them, e.g. ["no", "yes"]',
            {"what": str(value).lower()},
        )
    if isinstance(value, int):
        return str(value)
    if value is not None and not isinstance(value, str | list | dict):
        raise PydanticCustomError(
            "quote", "YAML reads this word as {what}: put it in quotes", {"what": str(value)}
        )
    return value


HeaderText = Annotated[str, BeforeValidator(check_yaml_text), Field(min_length=1)]
"""A class, structure, visit or word: any non-empty text."""

HeaderName = Annotated[str, BeforeValidator(check_yaml_text), Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$")]
"""An input, channel or task: becomes part of column and file names."""

WholeNumber = Annotated[int, Field(strict=True)]
"""An integer that YAML wrote as one."""


def is_same_word(a: str, b: str) -> bool:
    """Whether two words are the same: equal as text, or as numbers when both are numbers ("2.0" = "2")."""
    return a == b or find_word_meaning(a) == find_word_meaning(b)


def find_word_meaning(word: str) -> float | str:
    """Return what a word is compared by: its number if it is one, else its text."""
    value = parse_cell_number(word)
    return word if value is None else value


def parse_cell_number(cell: str) -> float | None:
    """Parse a finite number with a dot as decimal sign; None for any other text."""
    # `float` alone accepts too much: "nan", "inf", "1_000" and surrounding blanks.
    if not cell or cell.strip("0123456789+-.eE"):
        return None
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def find_repeated_words(words: list[str]) -> list[str]:
    """Find the words that repeat an earlier word of the list, as text or as a number."""
    seen: set[float | str] = set()
    repeated = []
    for word in words:
        meaning = find_word_meaning(word)
        if meaning in seen:
            repeated.append(word)
        seen.add(meaning)
    return repeated
