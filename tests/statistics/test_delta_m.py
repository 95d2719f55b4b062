from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polytask.statistics.delta_m import compute_delta_m

HIGHER = {"dice": True, "mae": False, "kappa": True}
YES = dict.fromkeys(HIGHER, True)


def test_by_hand() -> None:
    """+5 %, an error a tenth smaller is +10 %, κ a fifth lower is −20 %: the mean is −5/3."""
    found = compute_delta_m(
        {"dice": 0.84, "mae": 1.8, "kappa": 0.4}, {"dice": 0.8, "mae": 2.0, "kappa": 0.5}, HIGHER, YES
    )
    assert found.tasks == pytest.approx({"dice": 5, "mae": 10, "kappa": -20})
    assert found.value == pytest.approx(-5 / 3)
    assert "higher is better" in found.as_dict()["formula"]


def test_only_tasks_that_beat_chance() -> None:
    single, arm = {"dice": 0.8, "kappa": 0.001}, {"dice": 0.84, "kappa": 0.5}
    found = compute_delta_m(arm, single, HIGHER, {"dice": True, "kappa": False})
    assert found.value == pytest.approx(5)
    assert set(found.left_out) == {"kappa"}
    none = compute_delta_m(arm, single, HIGHER, {"dice": False, "kappa": False})
    assert none.value is None
    assert json.loads(json.dumps(none.as_dict(), allow_nan=False))["value"] is None


def test_nothing_to_divide_by_and_nothing_to_compare() -> None:
    single = {"dice": float("nan"), "mae": 0.0, "kappa": 0.5}
    found = compute_delta_m({"dice": 0.8, "mae": 1.0}, single, HIGHER, YES)
    assert found.value is None
    assert set(found.left_out) == set(single)


@given(st.floats(0.1, 10), st.floats(0.1, 10), st.booleans(), st.floats(0.01, 100))
@settings(max_examples=60, deadline=None)
def test_units_do_not_matter_and_better_is_positive(m: float, base: float, higher: bool, unit: float) -> None:
    one = compute_delta_m({"t": m}, {"t": base}, {"t": higher}, {"t": True}).value
    other = compute_delta_m({"t": m * unit}, {"t": base * unit}, {"t": higher}, {"t": True}).value
    assert one == pytest.approx(other, abs=1e-6)
    assert one is not None
    assert m == base or (one > 0) == ((m > base) == higher) or abs(one) < 1e-9
