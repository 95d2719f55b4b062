"""What a plan decides about counts, and the deviance they are judged by."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from polytask.kinds.cell_readers import UnreadableCell
from polytask.kinds.count import CountKind, compute_deviance, read_count
from polytask.kinds.kind import MissingInTrain
from polytask.kinds.plan_reasons import PlanReasons

KIND = CountKind()
SPEC = KIND.make_spec([], "visit", "lesions")


def test_a_count_is_a_whole_number_that_is_not_negative() -> None:
    assert [read_count(cell) for cell in ("0", "3", "12.0")] == [0.0, 3.0, 12.0]
    for cell in ("-1", "2.5", "-0.5"):
        with pytest.raises(UnreadableCell, match="is not a count"):
            read_count(cell)


def test_deviance_is_that_of_a_poisson_number() -> None:
    found = compute_deviance(np.array([0.0, 3.0, 2.0]), 2.0)
    assert found.tolist() == pytest.approx([4.0, 2 * (3 * log(1.5) - 1), 0.0])
    found = compute_deviance(np.array([0.0, 1.0]), np.array([0.5, 4.0]))
    assert found.tolist() == pytest.approx([1.0, 2 * (log(0.25) + 3)])


def test_a_plan_holds_the_mean_and_what_a_constant_costs() -> None:
    why = PlanReasons()
    fields = KIND.decide_fields(SPEC, [0.0, 0.0, 1.0, 3.0], why)
    assert (fields["mean"], fields["deviation"], fields["unit"]) == (1.0, 1.0, "lesions")
    assert (2 + 2 + 0 + 2 * (3 * log(3) - 2)) / 4 == pytest.approx(1.6479184)
    assert fields["constant"] == 1.6479, "five digits of it"
    assert why.reasons["mean"] == "of 4 known training counts (0 to 3)"
    assert why.reasons["deviation"] == "mean absolute error of their median 0.5"
    assert KIND.find_constant(fields) is None


def test_counts_that_are_all_alike_cost_the_smallest_constant() -> None:
    assert KIND.decide_fields(SPEC, [2.0, 2.0], PlanReasons())["constant"] == 0.05


def test_some_count_is_above_nothing() -> None:
    assert KIND.decide_fields(SPEC, [0.0, 1.0], PlanReasons())["mean"] == 0.5
    with pytest.raises(MissingInTrain, match="no count above 0"):
        KIND.decide_fields(SPEC, [0.0, 0.0], PlanReasons())
