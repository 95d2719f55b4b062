"""What a plan decides about grades."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from polytask.kinds.ordinal import OrdinalKind, OrdinalSpec
from polytask.kinds.plan_reasons import PlanReasons

KIND = OrdinalKind()


def test_the_constant_is_the_entropy_of_the_grades() -> None:
    spec, why = KIND.make_spec(["G1", "G2"], "subject", ""), PlanReasons()
    fields = KIND.decide_fields(spec, [0, 0, 0, 1], why)
    assert fields == {
        "kind": "ordinal",
        "level": "subject",
        "classes": ["G1", "G2"],
        "frequencies": [0.75, 0.25],
        "constant": 0.56234,
    }
    assert KIND.find_constant({"frequencies": [0.5, 0.5]}) == pytest.approx(0.693147)
    assert why.reasons["frequencies"] == "known in train: G1 3, G2 1"


def test_a_rare_grade_is_merged_with_its_neighbor_only() -> None:
    spec = KIND.make_spec(["G1", "G2", "G3"], "visit", "")
    remedies = [need.remedy for need in KIND.list_needs(spec, "t", "t")]
    assert not any("another class" in remedy for remedy in remedies)
    assert ["{G1: G2}" in remedies[0], "{G2: G1}" in remedies[1], "{G3: G2}" in remedies[2]] == [True] * 3


def test_grades_are_two_or_more() -> None:
    with pytest.raises(ValidationError):
        OrdinalSpec.model_validate({"kind": "ordinal", "order": ["G1"]})
