"""What a plan decides about grades."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from pydantic import ValidationError

from polytask.kinds.classification import ClassificationKind
from polytask.kinds.ordinal import OrdinalFields, OrdinalKind, OrdinalSpec, find_median_grades
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
        "balanced": False,
        "drawn_shares": [],
        "applies_when": {},
        "constant": 0.56234,
    }
    assert KIND.find_constant({"frequencies": [0.5, 0.5]}) == pytest.approx(0.693147)
    assert why.reasons["frequencies"] == "known in train: G1 3, G2 1"


def test_grades_are_balanced_by_the_rule_of_classes() -> None:
    words, values = ["G1", "G2", "G3", "G4"], [0] * 84 + [1] * 10 + [2] * 4 + [3] * 2
    why, of_classes = PlanReasons(), PlanReasons()
    fields = KIND.decide_fields(KIND.make_spec(words, "visit", ""), values, why)
    assert fields["balanced"] is True
    assert fields["drawn_shares"] == pytest.approx([0.76749, 0.1118, 0.07071, 0.05], abs=1e-5)
    assert fields["constant"] == pytest.approx(log(4), abs=1e-4)
    assert KIND.find_constant(fields) == pytest.approx(log(4))
    # −Σ f log f of 0.84, 0.10, 0.04, 0.02
    assert KIND.find_constant({**fields, "balanced": False}) == pytest.approx(0.583720, abs=1e-5)
    classes = ClassificationKind()
    same = classes.decide_fields(classes.make_spec(words, "visit", ""), values, of_classes)
    keys = ("frequencies", "balanced", "drawn_shares", "constant")
    assert {k: fields[k] for k in keys} == {k: same[k] for k in keys}
    assert {k: why.reasons[k] for k in keys} == {k: of_classes.reasons[k] for k in keys}


def test_a_plan_from_before_grades_were_balanced_does_not_balance_them() -> None:
    old = {"kind": "ordinal", "level": "visit", "classes": ["a", "b"], "frequencies": [0.9, 0.1]}
    fields = OrdinalFields.model_validate(old)
    assert (fields.balanced, fields.drawn_shares) == (False, [])


def test_a_rare_grade_is_merged_with_its_neighbor_only() -> None:
    spec = KIND.make_spec(["G1", "G2", "G3"], "visit", "")
    remedies = [need.remedy for need in KIND.list_needs(spec, "t", "t")]
    assert not any("another class" in remedy for remedy in remedies)
    assert ["{G1: G2}" in remedies[0], "{G2: G1}" in remedies[1], "{G3: G2}" in remedies[2]] == [True] * 3


def test_grades_are_two_or_more() -> None:
    with pytest.raises(ValidationError):
        OrdinalSpec.model_validate({"kind": "ordinal", "order": ["G1"]})


def test_the_median_grade_is_the_first_by_which_half_is_passed() -> None:
    probabilities = np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7]])
    assert find_median_grades(probabilities).tolist() == [1, 0, 2]
