from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.report import gain_scatter
from tests.study.report.worlds import DICE

NAN = float("nan")


def test_the_mean_is_over_tasks_in_points(full: Conclusions) -> None:
    gains, counted, out = gain_scatter.collect_arm_gains(full)
    assert counted == ["lesion", "grade", "os"]
    assert out == ["dose (in Gy)"]
    hard = next(g for g in gains if g.arm == "hard")
    effects = [c.effect.estimate for c in full.comparisons if c.arm == "hard" and c.task in counted]
    assert hard.mean == pytest.approx(sum(effects) / 3)
    assert (hard.price, hard.what) == (full.prices["hard"].compute.median, "compute")  # type: ignore[union-attr]
    assert hard.interval is None


def test_all_arms_are_averaged_over_the_same_tasks(full: Conclusions) -> None:
    made = [
        replace(c, effect=replace(c.effect, estimate=NAN)) if (c.task, c.arm) == ("os", "ctan") else c
        for c in full.comparisons
    ]
    gains, counted, out = gain_scatter.collect_arm_gains(replace(full, comparisons=made))
    assert counted == ["lesion", "grade"]
    assert {tuple(g.tasks) for g in gains} == {("lesion", "grade")}
    assert "os (not defined for ctan)" in out


def test_one_task_keeps_its_interval(study: Callable[..., Conclusions]) -> None:
    found = study(tasks={"lesion": DICE})
    gains, _, _ = gain_scatter.collect_arm_gains(found)
    assert gains[0].interval == found.comparisons[0].effect.interval()
    drawn, _ = gain_scatter.make_gain_picture(found)
    assert drawn is not None
    assert "plain 95 % intervals" in drawn.note


def test_without_prices_nothing_is_drawn(full: Conclusions) -> None:
    drawn, left = gain_scatter.make_gain_picture(replace(full, prices={}))
    assert drawn is None
    assert "its training cost relative to single networks is not known" in left


@given(st.lists(st.floats(0, 10), min_size=1, max_size=12))
def test_names_never_lie_on_each_other(wanted: list[float]) -> None:
    wanted = sorted(wanted)
    places = gain_scatter.space_out_heights(wanted, 0.75, 0.0, 10.0)
    assert all(b - a >= 0.75 - 1e-9 for a, b in pairwise(places))
    assert max(places) <= 10.0 + 1e-9
    if len(wanted) == 1:
        assert places == wanted
