from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from polytask.evaluation.evaluation_result import Estimate
from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.conclusions.finished_runs import FinishedRun
from polytask.study.report import site_tables

NAN = float("nan")


def judged(one: FinishedRun, fold: int, estimate: float, n: int) -> FinishedRun:
    """A run with one site's Dice."""
    evaluation = replace(
        one.evaluated.evaluation, sites={"north": {"lesion": {"dice": Estimate(estimate, NAN, NAN, n)}}}
    )
    return FinishedRun(replace(one.run, fold=fold), replace(one.evaluated, evaluation=evaluation))


def test_seeds_are_averaged_within_a_fold_and_folds_weighted_by_n(full: Conclusions) -> None:
    one = full.gathered.of_arm("hard")[0]
    runs = [judged(one, 0, 0.4, 10), judged(one, 0, 0.6, 10), judged(one, 1, 0.8, 30), judged(one, 2, NAN, 0)]
    found = site_tables.build_arm_site_cell(runs, "north", "lesion", "dice")
    assert float(found.value) == pytest.approx((10 * 0.5 + 30 * 0.8) / 40, abs=6e-4)
    assert found.n == "n 40"
    assert site_tables.build_arm_site_cell(runs, "south", "lesion", "dice").value == "–"


def test_a_table_a_task(full: Conclusions) -> None:
    tables = site_tables.build_arm_site_tables(full)
    assert [t.title for t in tables] == [
        "lesion: Dice",
        "grade: quadratic κ",
        "dose: MAE (Gy)",
        "os: C-index",
    ]
    assert tables[0].columns == ["arm", "north", "south"]
    assert [name for name, _ in tables[0].rows] == ["single", "hard", "hard+famo", "ctan"]


def test_one_site_is_no_comparison(study: Callable[..., Conclusions]) -> None:
    assert site_tables.build_arm_site_tables(study(sites=("north",))) == []
