from __future__ import annotations

import pytest

from polytask.study.report.amounts import (
    amount,
    between,
    change,
    counted,
    duration,
    listed,
    percent,
    probability,
    short,
    times,
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
    assert (change(value, DICE), change(value, DOSE)) == (points, own)


def test_a_bound_that_leaves_zero_out_does_not_read_as_zero() -> None:
    assert between(0.03, 4.0, DICE) == "+0.03 to +4.0"
    assert between(NAN, 4.0, DICE) == ""
    assert amount(-1.26, DICE) == "−1.3"


@pytest.mark.parametrize(
    ("p", "text"), [(0.0004, "< 0.001"), (0.0123, "0.012"), (1.0, "1"), (0.9996, "1"), (NAN, "–")]
)
def test_probabilities(p: float, text: str) -> None:
    assert probability(p) == text


def test_words() -> None:
    assert percent(0.9875) == "98.75 %"
    assert percent(0.95) == "95 %"
    assert times(0.483) == "0.48 ×"
    assert times(12.4) == "12 ×"
    assert duration(42.0) == "42.0 s"
    assert duration(600.0) == "10.0 min"
    assert duration(NAN) == "–"
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert counted(1, "fold") == "1 fold"
    assert counted(2, "fold") == "2 folds"
    assert short("x" * 30, 10) == "x" * 9 + "…"
