"""What arms cost beside `hard`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from polytask.study.arms import Arm
from polytask.study.costs_beside_hard import (
    CostBesideHard,
    compare_costs_with_hard,
    divide_step_times,
    format_costs_beside_hard,
)
from polytask.study.study_design import ArmTiming, RatioQuartiles
from polytask.study.workspace import Workspace
from tests.study.test_study_design import DESIGN

PACES = {
    "hard": ArmTiming(0.5, 1.5, 9, RatioQuartiles(0.4, 0.3, 0.5)),
    "mtan": ArmTiming(9.0, 1.5, 9, RatioQuartiles(1.0, 0.9, 1.1)),
    "slow": ArmTiming(1.0, 1.5, 9),
}


def test_times_of_a_step_are_compared_through_the_rounds_that_both_were_timed_in() -> None:
    """Seconds from different days say little: of two arms beside single networks the ratios count."""
    assert divide_step_times(PACES, "hard") == 1.0
    assert divide_step_times(PACES, "mtan") == pytest.approx(2.5)
    assert divide_step_times(PACES, "slow") == pytest.approx(2.0)
    assert divide_step_times(PACES, "unknown") is None
    assert divide_step_times({"mtan": PACES["mtan"]}, "mtan") is None


def test_arms_are_counted_with_their_own_values(prepared_once: Path) -> None:
    ground = Workspace.read(prepared_once / "work")
    arms = (
        Arm("single", "single"),
        Arm("hard", "hard"),
        Arm("mtan", "mtan", form="paper"),
        Arm("slim", "hard", values=("images.scan.widths=[4,4,4]",)),
    )
    design = replace(DESIGN, arms=arms, folds=(0,), tasks=None, paces=PACES, overrides=())
    costs = compare_costs_with_hard(design, ground)
    assert costs["hard"] == CostBesideHard(1.0, 1.0, 1.0, 1.0)
    assert costs["mtan"].step == pytest.approx(2.5)
    assert min(costs["mtan"].flops, costs["mtan"].memory, costs["mtan"].parameters) > 1.1
    assert costs["single"].parameters > 1.5
    assert costs["single"].memory <= 1.0, "networks are trained one after another"
    assert max(costs["slim"].flops, costs["slim"].memory, costs["slim"].parameters) < 1
    lines = list(format_costs_beside_hard(costs))
    assert lines[1].split()[:3] == ["single", "not", "timed"]
    assert lines[3].startswith("  mtan    2.50 × time")
    assert list(format_costs_beside_hard({})) == []
    some = compare_costs_with_hard(replace(design, arms=arms[:3], tasks=("grade", "os")), ground)
    assert some["single"].parameters > 1.5
