"""What a plan decides about a number."""

from __future__ import annotations

import pytest

from polytask.kinds.cell_readers import UnreadableCell
from polytask.kinds.plan_reasons import PlanReasons
from polytask.kinds.regression import RegressionKind, RegressionSpec

KIND = RegressionKind()
SPEC = KIND.make_spec([], "visit", "mm")


def test_a_plan_holds_mean_spread_and_what_the_median_misses() -> None:
    """Values 1, 1, 3, 7: mean 3, variance 6, median 2, distances from it 1, 1, 1, 5."""
    why = PlanReasons()
    fields = KIND.decide_fields(SPEC, [1.0, 1.0, 3.0, 7.0], why)
    assert (fields["mean"], fields["sd"], fields["deviation"]) == (3.0, 2.44949, 2.0)
    assert fields["unit"] == "mm"
    expected = (2 * 0.5 * (2 / 6**0.5) ** 2 + 0 + (4 / 6**0.5 - 0.5)) / 4
    assert expected == pytest.approx(0.449915, abs=1e-6)
    assert fields["constant"] == 0.44991, "five digits of it"
    assert why.reasons["mean"] == "of 4 known training values (1 to 7)"
    assert why.reasons["sd"] == "of 4 known training values"
    assert why.reasons["deviation"] == "mean absolute error of their median 2"
    assert KIND.find_constant(fields) is None


def test_values_that_are_all_alike_have_a_spread_of_one() -> None:
    why = PlanReasons()
    fields = KIND.decide_fields(SPEC, [5.0, 5.0], why)
    assert (fields["mean"], fields["sd"], fields["deviation"], fields["constant"]) == (5.0, 1.0, 0.0, 0.05)
    assert why.reasons["sd"].endswith("; all alike, so 1")


def test_a_bound_is_read_only_where_the_header_says_so() -> None:
    with pytest.raises(UnreadableCell):
        KIND.list_parsers(SPEC, "t")["t"](">7")
    bounded = RegressionSpec.model_validate({"kind": "regression", "bounds": True})
    assert KIND.list_measured_columns(bounded, "t")["t"](">7") == 7.0
    assert KIND.read_answer(bounded, "t", lambda column, parse: parse("<2")) == 2.0
