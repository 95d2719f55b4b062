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
from tests.kinds.worlds import ValuesByHand


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


def test_a_value_set_by_hand_keeps_its_reason() -> None:
    why = PlanReasons(fixed=ValuesByHand(a=5))
    assert (why.choose_value("a", 1), why.choose_value("b", 2)) == (5, 2)
    why["a"] = why["b"] = "a rule"
    assert why.reasons == {"a": "set by hand", "b": "a rule"}
    assert (why.is_fixed("a"), why.is_fixed("b")) == (True, False)
    assert why.quote_settings("a") == "a=5"


def test_facts_are_added_to_what_was_set_by_hand_only() -> None:
    why = PlanReasons(fixed=ValuesByHand(a=5))
    why.choose_value("a", 1)
    why["b"] = "a rule"
    for path in ("a", "b"):
        why.add_fact(path, "a fact")
    assert why.reasons == {"a": "set by hand: a fact", "b": "a rule"}


def test_what_follows_from_a_value_set_by_hand_keeps_its_reason_and_that_value_its_own() -> None:
    fixed = ValuesByHand(a=5)
    why = PlanReasons(fixed=fixed)
    why.choose_value("a", 1)
    for path in ("a", "b"):
        why.lock_reason(path, "follows")
    why["b"] = "a rule"
    assert why.reasons == {"a": "set by hand", "b": "follows"}
    why.warn_of_settings("too large")
    assert fixed.warnings == ["too large"]


def test_a_plan_without_values_set_by_hand_locks_and_warns_of_nothing() -> None:
    why = PlanReasons({"a": "a rule"})
    why.lock_reason("a", "follows")
    why.warn_of_settings("too large")
    why.add_fact("a", "a fact")
    assert why.reasons == {"a": "a rule"}
    assert (why.is_fixed("a"), why.quote_settings("a"), why.choose_value("a", 1)) == (False, "", 1)
