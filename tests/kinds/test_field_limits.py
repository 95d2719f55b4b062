"""What a curve of a plan must look like."""

from __future__ import annotations

from math import inf, nan

import pytest

from polytask.kinds.field_limits import is_curve, require_curve


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ({"times": [1.0, 2.0], "survival": [0.9, 0.5]}, True),
        ({"times": [1.0, 1.0], "hazard": [0.1, 0.5]}, True),
        ({"times": [], "hazard": []}, True),
        ({"times": [2.0, 1.0], "survival": [0.9, 0.5]}, False),
        ({"times": [1.0, 2.0], "survival": [0.9]}, False),
        ({"times": [1.0], "survival": [0.9, 0.5]}, False),
        ({"times": [1.0, inf], "survival": [0.9, 0.5]}, False),
        ({"times": [1.0, 2.0], "survival": [0.9, nan]}, False),
        ({"times": [1.0], "risk": [0.9]}, False),
        ({"hazard": [1.0], "survival": [0.9]}, False),
        ({"times": [1.0]}, False),
        ({"times": [1.0], "survival": [0.9], "hazard": [0.1]}, False),
    ],
)
def test_a_curve_has_rising_times_and_as_many_values(curve: dict[str, list[float]], expected: bool) -> None:
    assert is_curve(curve) is expected


def test_no_curve_is_allowed_and_a_wrong_one_refused() -> None:
    assert require_curve({}) == {}
    right = {"times": [1.0], "hazard": [0.1]}
    assert require_curve(right) is right
    with pytest.raises(ValueError, match="`times` that rise"):
        require_curve({"times": [1.0]})
