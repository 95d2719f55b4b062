from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from polytask.report.metric_tables import DASH, ReportTable
from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.report import forest_plot, study_tables


def row(table: ReportTable | None, name: str) -> dict[str, str]:
    """Column → everything in the cell."""
    assert table is not None
    cells = dict(table.rows)[name]
    return {head: " ".join(filter(None, c[:3])) for head, c in zip(table.columns[1:], cells, strict=True)}


def test_a_task_tells_values_difference_and_what_it_rests_on(full: Conclusions) -> None:
    part = next(p for p in study_tables.build_task_sections(full) if p.name == "dose")
    c = full.of("dose", "ctan")
    assert c is not None
    told = row(part.effects, "ctan")
    assert part.metric == "MAE (Gy), less is better"
    assert float(told["MAE (Gy)"]) == pytest.approx(c.effect.arm, abs=6e-4)
    assert float(told["single"]) == pytest.approx(c.effect.baseline, abs=6e-4)
    assert told["difference in Gy"].startswith("+0.")
    assert told["known cases"] == "60 of 60 subjects 3 folds × 3 seeds"
    assert told["difference by fold"].count(",") == 2
    assert "at 9" in told["difference in Gy"]


def test_values_are_in_the_metrics_unit_and_differences_in_points(full: Conclusions) -> None:
    part = next(p for p in study_tables.build_task_sections(full) if p.name == "lesion")
    told = row(part.effects, "hard")
    gap = float(told["Dice"]) - float(told["single"])
    assert float(told["difference in points"].split()[0]) == pytest.approx(100 * gap, abs=0.2)


def test_cross_checks_stand_last(full: Conclusions) -> None:
    assert (
        row(study_tables.build_task_sections(full)[0].effects, "hard")["cross-checks"]
        == "Wilcoxon: p = 0.040 n 60"
    )
    c = full.comparisons[0]
    assert study_tables.build_checks_cell(replace(c, checks=())).value == "–"
    sure = replace(c, checks=(replace(c.checks[0], p=1e-9),))
    assert study_tables.build_checks_cell(sure).value == "Wilcoxon: p < 0.001"


def test_a_note_of_some_arms_names_them(full: Conclusions) -> None:
    rows = [c for c in full.comparisons if c.task == "os"]
    every = [replace(c, effect=replace(c.effect, notes=("fold 1 is left out",), carriers=())) for c in rows]
    rest = [replace(c, effect=replace(c.effect, notes=(), carriers=())) for c in rows[1:]]
    some = [
        replace(rows[0], effect=replace(rows[0].effect, notes=("fold 1 is left out",), carriers=())),
        *rest,
    ]
    assert study_tables.list_effect_notes(some) == ["hard: fold 1 is left out"]
    assert study_tables.list_effect_notes(every) == ["fold 1 is left out"]


def test_who_carries_an_effect_is_named(full: Conclusions) -> None:
    rows = [c for c in full.comparisons if c.task == "os"]
    few = replace(rows[0], effect=replace(rows[0].effect, carriers=("007", "012")))
    assert "hard: 2 subjects carry this effect: 007, 012" in study_tables.list_effect_notes([few, *rows[1:]])
    one = replace(few, effect=replace(few.effect, carriers=("007",)))
    assert study_tables.describe_carriers(one) == "1 subject carries this effect: 007"


def test_words_without_a_claim_say_why(full: Conclusions) -> None:
    c = full.comparisons[0]
    few = replace(
        c,
        effect=replace(c.effect, too_few="9 events in 3 folds; a conclusion needs 15"),
        verdict=replace(c.verdict, word="too few", detectable=float("nan")),
    )
    cell = next(x for x in study_tables.build_effect_cells(few, full.asked[c.task]) if x.value == "too few")
    assert not cell.strong
    assert "9 events in 3 folds" in str(cell)
    alone = replace(c, verdict=replace(c.verdict, word="one training each", detectable=float("nan")))
    assert forest_plot.format_comparison(alone, full.asked[c.task])[1] == "one training each"
    assert forest_plot.VERDICT_INKS["too few"] == forest_plot.VERDICT_INKS["one training each"]


def test_delta_m_says_what_is_left_out(full: Conclusions) -> None:
    table, left = study_tables.build_delta_m_table(full)
    told = row(table, "hard")
    assert told["Δm"].endswith(" %")
    assert "lesion +" in told["tasks that count"]
    assert left == "Left out: grade: its single network does not clearly beat chance."
    other = full.gains | {"ctan": replace(full.gains["ctan"], left_out={})}
    table, left = study_tables.build_delta_m_table(replace(full, gains=other))
    assert left == ""
    assert row(table, "ctan")["left out, and why"] == "none"
    assert row(table, "hard")["left out, and why"] == "grade: its single network does not clearly beat chance"


def test_delta_m_that_is_not_defined(study: Callable[..., Conclusions]) -> None:
    table, _ = study_tables.build_delta_m_table(study(undefined=("lesion", "grade", "dose", "os")))
    assert row(table, "hard")["Δm"] == "not defined"


def test_costs_stand_beside_the_single_networks(full: Conclusions) -> None:
    told = row(study_tables.build_costs_table(full), "hard")
    assert told == {
        "compute of training": "0.38 × 0.36 to 0.40",
        "parameters": "456 000 0.38 ×",
        "training": "2.2 min 0.38 ×",
        "inference per case": "18 ms 0.38 ×",
        "peak memory, host": "900 MB 1.00 ×",
        "disk": "8 MB 0.38 ×",
        "runs": "9",
    }
    assert "×" not in " ".join(row(study_tables.build_costs_table(full), "single").values())


def test_compute_that_was_not_timed_is_not_made_up(full: Conclusions) -> None:
    prices = {arm: replace(price, compute=None) for arm, price in full.prices.items()}
    assert "compute of training" not in row(
        study_tables.build_costs_table(replace(full, prices=prices)), "hard"
    )
    some = {**full.prices, "hard": prices["hard"]}
    assert (
        row(study_tables.build_costs_table(replace(full, prices=some)), "hard")["compute of training"] == DASH
    )


def test_the_recommendation_is_marked(full: Conclusions) -> None:
    table = study_tables.build_tune_table(full)
    assert [n for n, cells in (table.rows if table else []) if cells[-1].value == "preferred"] == ["hard"]
    assert study_tables.build_tune_table(replace(full, choice=None)) is None
