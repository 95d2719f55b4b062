"""How reasons and their numbers are written."""

from __future__ import annotations

import pytest

from polytask.kinds.plan_reasons import (
    PlanReasons,
    format_share_percent,
    format_sizes,
    join_first_names,
    join_numbers,
    round_number,
)


def test_reasons_of_a_branch_stand_below_it() -> None:
    why = PlanReasons()
    why["a"] = "one"
    branch = why.at("tasks").at("t")
    branch["."] = "itself"
    branch["mean"] = "two"
    branch.extend("mean", ", and more")
    assert why.reasons == {"a": "one", "tasks.t": "itself", "tasks.t.mean": "two, and more"}


def test_reasons_that_are_given_are_added_to() -> None:
    given = {"a": "one"}
    PlanReasons(given)["b"] = "two"
    assert given == {"a": "one", "b": "two"}


def test_sizes_are_joined_by_a_cross() -> None:
    assert format_sizes((64, 64, 48)) == "64×64×48"
    assert format_sizes((1.5, 3.0), "mm") == "1.5×3 mm"


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.123, "12 %"),
        (1.0, "100 %"),
        (0.0, "0 %"),
        (0.0123, "1.2 %"),
        (0.1, "10 %"),
        (0.093, "9.3 %"),
        (0.000456, "0.046 %"),
    ],
)
def test_shares_are_percents_and_small_ones_keep_two_digits(share: float, expected: str) -> None:
    assert format_share_percent(share) == expected


def test_the_first_names_stand_for_many() -> None:
    assert join_first_names(["a", "b", "c", "d"]) == "a, b, c, d"
    assert join_first_names(["a", "b", "c", "d", "e"]) == "a, b, c, d and 1 more"
    assert join_first_names(["a", "b", "c"], most=1) == "a and 2 more"


def test_numbers_keep_so_many_digits() -> None:
    assert round_number(1.23456789) == 1.23457
    assert round_number(123456789.0, 3) == 123000000.0
    assert join_numbers([1, 2.5, 1000]) == "1, 2.5, 1000"
