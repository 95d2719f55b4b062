"""What a cell of the table says, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from polytask.kinds.cell_readers import (
    EVENT_MEANING,
    PRESENT_MEANING,
    UnreadableCell,
    find_word_index,
    read_decimal,
    read_number,
    read_structure_names,
    read_time,
    read_zero_or_one,
)


def find_code(read: Callable[[], Any]) -> str:
    with pytest.raises(UnreadableCell) as caught:
        read()
    assert caught.value.remedy
    return caught.value.code


def test_a_word_is_found_as_text_first_and_else_as_a_number() -> None:
    assert find_word_index("c", ["a", "b", "c"]) == 2
    assert find_word_index("2.0", ["1", "2"]) == 1
    assert find_word_index("2.0", ["2", "2.0"]) == 1
    assert find_code(lambda: find_word_index("d", ["a", "b"])) == "unknown-class"


@pytest.mark.parametrize(
    ("cell", "value"), [(">7", 7.0), ("<= 0.5", 0.5), ("≥3", 3.0), ("< -2", -2.0), ("4", 4.0)]
)
def test_a_bound_is_read_as_its_value_where_bounds_are_allowed(cell: str, value: float) -> None:
    assert read_number(cell, bounds=True) == value


def test_a_bound_is_refused_elsewhere() -> None:
    assert find_code(lambda: read_number(">7", bounds=False)) == "bound"
    assert find_code(lambda: read_decimal("<= 7")) == "bound"
    assert find_code(lambda: read_number(">much", bounds=True)) == "odd-cell"
    assert find_code(lambda: read_decimal(">much")) == "odd-cell"
    assert find_code(lambda: read_number("much", bounds=True)) == "odd-cell"


def test_numbers_beyond_all_measure_are_refused() -> None:
    assert read_decimal("1e18") == 1e18
    assert read_decimal("-1e18") == -1e18
    for cell in ("1.5e18", "-1.5e18"):
        assert find_code(partial(read_decimal, cell)) == "absurd-number"
    assert find_code(lambda: read_decimal("3,5")) == "odd-cell"


def test_a_time_is_not_negative() -> None:
    assert read_time("0") == 0.0
    assert read_time("1.5") == 1.5
    assert find_code(lambda: read_time("-0.5")) == "negative-time"


def test_zero_and_one_are_all_that_an_event_or_a_label_says() -> None:
    assert read_zero_or_one("0", EVENT_MEANING) == 0
    assert read_zero_or_one("1.0", PRESENT_MEANING) == 1
    assert find_code(lambda: read_zero_or_one("2", EVENT_MEANING)) == "odd-event"
    assert find_code(lambda: read_zero_or_one("-1", EVENT_MEANING)) == "odd-event"
    assert find_code(lambda: read_zero_or_one("yes", PRESENT_MEANING)) == "odd-cell"


def test_names_are_joined_by_semicolons() -> None:
    assert read_structure_names("liver; tumor;", ["liver", "tumor"]) == {"liver", "tumor"}
    assert read_structure_names("", ["liver"]) == frozenset()
    assert find_code(lambda: read_structure_names("liver;spleen", ["liver"])) == "unknown-structure"
