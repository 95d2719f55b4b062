"""Words of a header and of cells."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from polytask.kinds.header_words import (
    HeaderName,
    HeaderText,
    find_repeated_words,
    find_word_meaning,
    is_same_word,
    parse_cell_number,
)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("2", 2.0),
        ("-2.50", -2.5),
        ("+1e3", 1000.0),
        ("1E-2", 0.01),
        (".5", 0.5),
        ("", None),
        ("1 000", None),
        ("1_000", None),
        ("3,5", None),
        ("inf", None),
        ("nan", None),
        ("1e999", None),
        ("-1e999", None),
        ("e", None),
        ("1-2", None),
        ("2 mm", None),
    ],
)
def test_a_number_is_finite_and_has_a_dot(cell: str, value: float | None) -> None:
    assert parse_cell_number(cell) == value


def test_words_are_the_same_as_text_or_as_numbers() -> None:
    assert is_same_word("2", "2.0")
    assert is_same_word("T1", "T1")
    assert not is_same_word("T1", "T2")
    assert not is_same_word("2", "3")
    assert find_word_meaning("0.50") == 0.5
    assert find_word_meaning("G1") == "G1"


def test_words_that_say_the_same_again_are_repeated() -> None:
    assert find_repeated_words(["1", "a", "1.0", "b", "a", "1"]) == ["1.0", "a", "1"]
    assert find_repeated_words(["1", "2", "a"]) == []


def test_a_word_that_yaml_read_as_something_else_must_be_quoted() -> None:
    words: TypeAdapter[str] = TypeAdapter(HeaderText)
    assert words.validate_python("yes") == "yes"
    assert words.validate_python(3) == "3"
    assert words.validate_python(0) == "0"
    odd: list[tuple[Any, str]] = [
        (True, "reads this word as true: quote"),
        (1.5, "reads this word as 1.5: put"),
    ]
    for value, told in odd:
        with pytest.raises(ValidationError, match=told):
            words.validate_python(value)
    for nothing in ("", None, ["a"], {"a": "b"}):
        with pytest.raises(ValidationError) as caught:
            words.validate_python(nothing)
        assert "YAML" not in str(caught.value)


def test_a_name_may_stand_in_columns_and_files() -> None:
    names: TypeAdapter[str] = TypeAdapter(HeaderName)
    for name in ("ct", "_t2", "a-b", "3d"):
        assert names.validate_python(name) == name
    for odd in ("-a", "a b", "a.b", ""):
        with pytest.raises(ValidationError):
            names.validate_python(odd)
