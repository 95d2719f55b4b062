"""The constant of edited fields."""

from __future__ import annotations

import pytest

from polytask.kinds import find_answer_form, find_constant, find_pooled_kind, find_voxel_kind


def test_a_constant_is_rounded_and_none_where_the_fields_do_not_fit() -> None:
    assert find_constant({"kind": "ordinal", "frequencies": [0.75, 0.25]}) == 0.56234
    assert find_constant({"kind": "ordinal", "frequencies": "much"}) is None
    assert find_constant({"kind": "dose", "deviation": 1.0, "scale": 0.0, "dvh": 0.0}) is None
    assert find_constant({"kind": "dose", "deviation": float("inf"), "scale": 1.0, "dvh": 0.0}) is None
    assert find_constant({"kind": "nothing"}) is None
    assert find_constant({"kind": "regression"}) is None


def test_kinds_are_found_by_name_and_level() -> None:
    assert find_pooled_kind("count").name == "count"
    assert find_voxel_kind("dose").name == "dose"
    assert find_answer_form("survival") == "time"
    with pytest.raises(AssertionError):
        find_pooled_kind("dose")
    with pytest.raises(AssertionError):
        find_voxel_kind("count")
