"""What a plan decides about labels that do not exclude each other."""

from __future__ import annotations

from math import log

import pytest

from polytask.kinds.kind import MissingInTrain
from polytask.kinds.multilabel import LabelAnswers, MultilabelKind
from polytask.kinds.plan_reasons import PlanReasons

KIND = MultilabelKind()
SPEC = KIND.make_spec(["u", "v"], "visit", "")


def make_values(u: int, v: int, of: int = 100) -> list[LabelAnswers]:
    return [(int(k < u), int(k < v)) for k in range(of)]


def test_frequencies_are_of_the_known_answers_of_each_label() -> None:
    why = PlanReasons()
    fields = KIND.decide_fields(SPEC, [(1, 0), (0, None), (None, 1), (0, None)], why)
    assert fields["frequencies"] == [0.33333, 0.5]
    assert why.reasons["frequencies"] == "known in train: u 33 % of 3, v 50 % of 2"
    third = -(0.33333 * log(0.33333) + 0.66667 * log(0.66667))
    assert fields["constant"] == pytest.approx((3 * third + 2 * log(2)) / 5, abs=1e-5)
    assert fields["balanced"] is False


@pytest.mark.parametrize(
    ("u", "v", "balanced"),
    [(20, 50, False), (19, 50, True), (50, 20, False), (80, 50, False), (50, 80, False), (81, 50, True)],
)
def test_labels_are_balanced_where_the_rarest_answer_has_less_than_a_fifth(
    u: int, v: int, balanced: bool
) -> None:
    why = PlanReasons()
    fields = KIND.decide_fields(SPEC, make_values(u, v), why)
    assert fields["balanced"] is balanced
    assert why.reasons["balanced"].startswith("on: " if balanced else "off: ")


def test_balanced_labels_are_a_coin_each() -> None:
    fields = KIND.decide_fields(SPEC, make_values(10, 50), PlanReasons())
    assert fields["constant"] == pytest.approx(log(2), abs=1e-5)
    assert KIND.find_constant({"frequencies": [0.1, 0.5], "balanced": True}) == pytest.approx(log(2))
    alone = KIND.find_constant({"frequencies": [0.1, 0.5], "balanced": False})
    assert alone == pytest.approx((0.325083 + log(2)) / 2, abs=1e-6)


def test_a_label_needs_both_answers() -> None:
    with pytest.raises(MissingInTrain, match="label 'u' is never 1"):
        KIND.decide_fields(SPEC, [(0, 1), (0, 0)], PlanReasons())
    with pytest.raises(MissingInTrain, match="label 'v' is never 0"):
        KIND.decide_fields(SPEC, [(0, 1), (1, 1)], PlanReasons())
    needs = KIND.list_needs(SPEC, "t", "t")
    assert [(n.word, n.column) for n in needs] == [
        ("u=1", "t.u"),
        ("u=0", "t.u"),
        ("v=1", "t.v"),
        ("v=0", "t.v"),
    ]
    assert [n.what for n in needs[:2]] == ["label 'u' present", "label 'u' absent"]


def test_known_labels_make_strata_and_arrays() -> None:
    assert KIND.list_strata(SPEC, {"s": [(1, None), (0, None)], "r": [(None, 0)]}) == {
        "s": {"u=1", "u=0"},
        "r": {"v=0"},
    }
    value, known = KIND.make_arrays(SPEC, [(1, None), None, (0, 1)])
    assert value.tolist() == [[1, 0], [0, 0], [0, 1]]
    assert known.tolist() == [[True, False], [False, False], [True, True]]
