"""How rare classes are drawn and weighed: by hand, and that both together make every class count alike."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pytest

from polytask.kinds.class_balance import (
    choose_drawn_shares,
    compute_class_weights,
    compute_draw_chances,
    decide_class_balance,
    find_balancing_limit,
    find_draw_chances,
    require_drawn_shares,
)
from polytask.kinds.plan_reasons import PlanReasons
from tests.kinds.worlds import ValuesByHand

GRADES = [0.84, 0.10, 0.04, 0.02]
DRAWN = [0.7674859, 0.1118034, 0.0707107, 0.05]
"""√(0.125 · 0.10), √(0.125 · 0.04), √(0.125 · 0.02), and what is left for the first."""


def test_the_limit_is_a_fifth_or_half_of_an_even_share() -> None:
    assert [find_balancing_limit(k) for k in (2, 3, 4, 10)] == pytest.approx([0.2, 1 / 6, 0.125, 0.05])


def test_a_rare_class_is_drawn_with_the_root_of_its_share_times_the_limit() -> None:
    assert choose_drawn_shares(GRADES) == pytest.approx(DRAWN, abs=1e-6)
    two = choose_drawn_shares([0.05, 0.95])
    assert two == pytest.approx([0.1, 0.9]), "a quarter of the limit: twice as often"
    assert choose_drawn_shares([0.6, 0.38, 0.02]) == pytest.approx(
        [(1 - sqrt(1 / 300)) * 60 / 98, (1 - sqrt(1 / 300)) * 38 / 98, sqrt(1 / 300)]
    )


def test_weights_are_those_of_the_shares_that_are_drawn() -> None:
    assert compute_class_weights([0.75, 0.25], []) == pytest.approx([2 / 3, 2])
    assert compute_class_weights(GRADES, [0.4, 0.3, 0.2, 0.1]) == pytest.approx([0.625, 0.8333333, 1.25, 2.5])


@pytest.mark.parametrize("frequencies", [GRADES, [0.05, 0.95], [0.3, 0.6, 0.1], [0.9, *[0.01] * 10]])
def test_draws_and_weights_together_make_every_class_count_alike(frequencies: list[float]) -> None:
    wanted = choose_drawn_shares(frequencies)
    chances = compute_draw_chances(frequencies, wanted.tolist())
    assert chances.min() == 0 <= chances.sum() < 1
    drawn = np.array(frequencies) * (1 - chances.sum()) + chances
    assert drawn == pytest.approx(wanted)
    weights = compute_class_weights(frequencies, wanted.tolist())
    assert drawn * weights == pytest.approx([1 / len(frequencies)] * len(frequencies))


def test_nothing_is_drawn_on_purpose_where_balancing_or_drawing_is_off() -> None:
    fields: dict[str, Any] = {"frequencies": [0.95, 0.05], "balanced": True, "drawn_shares": [0.9, 0.1]}
    # 0.95 · (1 − π) = 0.9 and 0.05 · (1 − π) + π = 0.1
    assert find_draw_chances(fields) == pytest.approx([0, 0.05 / 0.95])
    for change in ({"balanced": False}, {"drawn_shares": []}):
        assert find_draw_chances({**fields, **change}).size == 0
    assert find_draw_chances({"kind": "regression"}).size == 0


def test_the_reasons_say_the_counts() -> None:
    why = PlanReasons()
    fields = decide_class_balance(GRADES, [168, 20, 8, 4], ["G1", "G2", "G3", "G4"], why)
    assert fields == {"balanced": True, "drawn_shares": pytest.approx(DRAWN, abs=1e-5)}
    assert why.reasons["balanced"].startswith("on: G4 is the rarest, 4 of 200 answers (2 %; limit 12 %)")
    assert "G2 10 % → 11 %, G3 4 % → 7.1 %, G4 2 % → 5 %" in why.reasons["drawn_shares"]
    assert "G1" not in why.reasons["drawn_shares"]
    fields = decide_class_balance([0.8, 0.2], [4, 1], ["a", "b"], why)
    assert fields == {"balanced": False, "drawn_shares": []}
    assert why.reasons["balanced"] == "off: b is the rarest, 1 of 5 answers (20 %; limit 20 %)"
    assert why.reasons["drawn_shares"].startswith("none: ")


def test_drawn_shares_by_hand_are_shares() -> None:
    assert require_drawn_shares([]) == []
    assert require_drawn_shares([0.333, 0.333, 0.333]) == [0.333, 0.333, 0.333]
    for wrong in ([1.0, 0.0], [0.5, 0.4]):
        with pytest.raises(ValueError, match="above 0 with the sum 1"):
            require_drawn_shares(wrong)


@pytest.mark.parametrize("balanced", [True, False])
def test_balancing_by_hand_draws_rare_classes_and_no_others(balanced: bool) -> None:
    why = PlanReasons(fixed=ValuesByHand(balanced=balanced))
    even = decide_class_balance([0.6, 0.4], [6, 4], ["a", "b"], why)
    assert even == {"balanced": balanced, "drawn_shares": []}
    assert why.reasons["drawn_shares"].endswith("because no class is rare")
    rare = decide_class_balance(GRADES, [168, 20, 8, 4], ["G1", "G2", "G3", "G4"], why)
    assert rare == {"balanced": balanced, "drawn_shares": pytest.approx(DRAWN, abs=1e-5) if balanced else []}
    assert why.reasons["drawn_shares"].endswith("because `balanced` is off") is not balanced
