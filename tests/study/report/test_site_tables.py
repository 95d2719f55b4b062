from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from polytask.evaluation.evaluation_result import Estimate, StratumResult
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
    found = site_tables.build_arm_cell(
        runs, partial(site_tables.read_site_metrics, site="north"), "lesion", "dice"
    )
    assert float(found.value) == pytest.approx((10 * 0.5 + 30 * 0.8) / 40, abs=6e-4)
    assert found.n == "n 40"
    assert (
        site_tables.build_arm_cell(
            runs, partial(site_tables.read_site_metrics, site="south"), "lesion", "dice"
        ).value
        == "–"
    )


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


def add_stratum(one: FinishedRun, name: str, estimate: float, n: int) -> FinishedRun:
    """A run that also has the Dice of one stratum of the column `sex`."""
    stratum = StratumResult(n, {"lesion": {"dice": Estimate(estimate, NAN, NAN, n)}}, {})
    evaluation = replace(one.evaluated.evaluation, strata={"sex": {name: stratum}})
    return FinishedRun(one.run, replace(one.evaluated, evaluation=evaluation))


def test_strata_have_a_table_a_task_and_column(full: Conclusions) -> None:
    assert site_tables.build_arm_strata_tables(full) == {}
    gathered = full.gathered
    folds = {
        fold: {arm: add_stratum(one, "FM"[fold % 2], 0.5, 10) for arm, one in by.items()}
        for fold, by in gathered.folds.items()
    }
    tables = site_tables.build_arm_strata_tables(replace(full, gathered=replace(gathered, folds=folds)))
    assert list(tables) == ["sex"]
    (table,) = tables["sex"]
    assert table.columns == ["arm", "F", "M"]
    assert {name: [c.value for c in cells] for name, cells in table.rows}["hard"] == ["0.500", "0.500"]
    assert dict(table.rows)["hard"][0].n == "n 20"
