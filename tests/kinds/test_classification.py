"""What a plan decides about classes and grades."""

from __future__ import annotations

from math import log
from typing import Any

import pytest
from pydantic import ValidationError

from polytask.kinds.classification import ClassificationKind, ClassificationSpec
from polytask.kinds.plan_reasons import PlanReasons

KIND = ClassificationKind()


def decide(counts: dict[str, int]) -> tuple[dict[str, Any], PlanReasons]:
    spec, why = KIND.make_spec(list(counts), "visit", ""), PlanReasons()
    values = [index for index, count in enumerate(counts.values()) for _ in range(count)]
    return KIND.decide_fields(spec, values, why), why


def test_classes_are_balanced_where_the_rarest_has_less_than_a_fifth() -> None:
    fields, why = decide({"a": 4, "b": 1})
    assert fields["balanced"] is False
    assert why.reasons["balanced"] == "off: b is the rarest, 1 of 5 answers (20 %; limit 20 %)"
    fields, why = decide({"a": 81, "b": 19})
    assert fields["balanced"] is True
    assert why.reasons["balanced"].startswith("on: b is the rarest, 19 of 100 answers (19 %; limit 20 %)")
    assert fields["drawn_shares"] == pytest.approx([1 - 0.194936, 0.194936], abs=1e-5), "√(0.19 · 0.2)"


def test_of_many_classes_the_rarest_may_have_half_of_an_even_share() -> None:
    assert decide({"a": 3, "b": 2, "c": 2, "d": 1})[0]["balanced"] is False
    assert decide({"a": 30, "b": 20, "c": 20, "d": 9})[0]["balanced"] is True


def test_the_constant_is_the_loss_of_the_shares_or_of_even_classes() -> None:
    fields, _ = decide({"a": 3, "b": 1})
    assert fields["frequencies"] == [0.75, 0.25]
    assert fields["constant"] == pytest.approx(0.56234)
    assert KIND.find_constant(fields) == pytest.approx(0.562335)
    fields, _ = decide({"a": 9, "b": 1})
    assert fields["constant"] == pytest.approx(log(2), abs=1e-5)
    assert KIND.find_constant({**fields, "balanced": False}) == pytest.approx(0.325083, abs=1e-6)


def test_a_task_has_two_classes_and_one_column() -> None:
    spec = ClassificationSpec.model_validate({"kind": "classification", "classes": ["a", "b"]})
    assert (spec.level, spec.visits, spec.column, spec.title) == ("visit", None, None, None)
    assert KIND.list_columns(spec, "t") == ("t",)
    assert KIND.list_optional_columns(spec, "t") == ()
    assert list(KIND.list_breaches(spec, {}, [])) == []
    with pytest.raises(ValidationError):
        ClassificationSpec.model_validate({"kind": "classification", "classes": ["a"]})


def test_a_rare_class_may_be_merged_with_any_other() -> None:
    spec = KIND.make_spec(["a", "b", "c"], "visit", "")
    assert all("(or another class)" in need.remedy for need in KIND.list_needs(spec, "t", "t"))
