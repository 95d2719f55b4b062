from __future__ import annotations

import pytest

from polytask.study.report.effect_text import (
    count_with_noun,
    format_amount,
    format_change,
    format_change_interval,
    format_confidence_level,
    format_cost_ratio,
    format_p_value,
    format_training_duration,
    join_with_and,
    shorten_name,
)
from tests.study.report.worlds import DICE, DOSE

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "points", "own"),
    [
        (2.14, "+2.1", "+2.140"),
        (-3.0, "−3.0", "−3.000"),
        (0.04, "+0.04", "+0.040"),
        (-0.0001, "0", "0"),
        (0.0, "0", "0"),
        (NAN, "–", "–"),
    ],
)
def test_a_change_has_its_sign_and_unit(value: float, points: str, own: str) -> None:
    assert (format_change(value, DICE), format_change(value, DOSE)) == (points, own)


def test_a_bound_that_leaves_zero_out_does_not_read_as_zero() -> None:
    assert format_change_interval(0.03, 4.0, DICE) == "+0.03 to +4.0"
    assert format_change_interval(NAN, 4.0, DICE) == ""
    assert format_amount(-1.26, DICE) == "−1.3"


@pytest.mark.parametrize(
    ("p", "text"), [(0.0004, "< 0.001"), (0.0123, "0.012"), (1.0, "1"), (0.9996, "1"), (NAN, "–")]
)
def test_probabilities(p: float, text: str) -> None:
    assert format_p_value(p) == text


def test_words() -> None:
    assert format_confidence_level(0.9875) == "98.75 %"
    assert format_confidence_level(0.95) == "95 %"
    assert format_cost_ratio(0.483) == "0.48 ×"
    assert format_cost_ratio(12.4) == "12 ×"
    assert format_training_duration(42.0) == "42.0 s"
    assert format_training_duration(600.0) == "10.0 min"
    assert format_training_duration(NAN) == "–"
    assert join_with_and(["a"]) == "a"
    assert join_with_and(["a", "b", "c"]) == "a, b and c"
    assert count_with_noun(1, "fold") == "1 fold"
    assert count_with_noun(2, "fold") == "2 folds"
    assert shorten_name("x" * 30, 10) == "x" * 9 + "…"
