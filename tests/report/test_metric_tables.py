from __future__ import annotations

import numpy as np
import pytest

from polytask.evaluation.evaluation_result import Estimate
from polytask.report.metric_tables import (
    ReportTable,
    TableCell,
    build_detail_tables,
    build_estimate_cell,
    build_overview_table,
    build_skills_table,
    describe_known_counts,
    format_number,
    format_signed_number,
    move_n_to_column,
    split_metric_name,
)
from polytask.report.report_material import ReportMaterial

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"),
        (-0.5, "−0.500"),
        (12.345, "12.3"),
        (12345.6, "12\u202f346"),
        (1.5e9, "1.5e+09"),
        (NAN, "–"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert format_number(value) == text
    assert format_signed_number(0.1) == "+0.100"
    assert format_signed_number(-0.1) == "−0.100"


def test_cells() -> None:
    assert build_estimate_cell(Estimate(0.5, 0.4, 0.6, 7)) == TableCell("0.500", "0.400 to 0.600", "n 7")
    assert build_estimate_cell(Estimate(NAN, NAN, NAN, 0)) == TableCell("not defined", "", "n 0")
    assert build_estimate_cell(Estimate(NAN, NAN, NAN, 0), why="no event") == TableCell(
        "not defined", why="no event"
    )
    assert build_estimate_cell(Estimate(0.5, NAN, NAN, 2)).interval == "too few for an interval"
    assert build_estimate_cell(Estimate(0.1, 0.05, 0.2, 7), difference=True).strong
    assert not build_estimate_cell(Estimate(0.1, -0.05, 0.2, 7), difference=True).strong


def test_metrics_of_structures_become_rows() -> None:
    assert split_metric_name("dice.kidney_l", ["kidney_l"]) == ("kidney_l", "dice")
    assert split_metric_name("dvh.kidney.l.D0.1cc", ["kidney.l"]) == ("kidney.l", "D0.1cc")
    assert split_metric_name("auc.T365", []) == ("T365", "auc")


def test_n_moves_into_a_column_where_it_is_the_same_along_a_row() -> None:
    same = ReportTable("", ["", "a", "b"], [("x", [TableCell("1", "", "n 3"), TableCell("2", "", "n 3")])])
    assert move_n_to_column(same) == ReportTable(
        "", ["", "a", "b", "n"], [("x", [TableCell("1"), TableCell("2"), TableCell("3")])]
    )
    other = ReportTable("", ["", "a", "b"], [("x", [TableCell("1", "", "n 3"), TableCell("2", "", "n 4")])])
    assert move_n_to_column(other) == other


def test_every_metric_is_in_the_tables_of_its_task(flat: ReportMaterial) -> None:
    found = flat.evaluation
    assert [r[0] for r in build_overview_table(flat).rows] == [*found.tasks]
    assert [r[0] for r in build_skills_table(flat).rows] == [*found.tasks, "mean skill"]
    for task, metrics in found.metrics.items():
        shown = [
            c for t in build_detail_tables(flat, task) for _, cells in t.rows for c in cells if c.value != "–"
        ]
        counted = sum("n" in t.columns for t in build_detail_tables(flat, task)) and sum(
            len(t.rows) for t in build_detail_tables(flat, task) if "n" in t.columns
        )
        assert len(shown) - counted == len(metrics)


def test_what_numbers_rest_on() -> None:
    counts = {
        "items": 9,
        "known": 7,
        "subjects": 1,
        "unanswered": 2,
        "events": 3,
        "empty_truth": {"a": 1, "b": 0},
    }
    assert describe_known_counts(counts) == (
        "7 known of 9 answered, 1 subject; 3 events; truth empty in a 1; 2 known answers without a prediction"
    )
    assert np.isfinite(len(describe_known_counts({"items": 0, "known": 0, "subjects": 0, "unanswered": 0})))


def test_why_there_is_no_interval() -> None:
    few = Estimate(0.5, NAN, NAN, 12, "too few: 12 subjects, 20 needed")
    assert build_estimate_cell(few).interval == "too few for an interval"
    assert (
        build_estimate_cell(few._replace(reason="too few values that vary")).interval
        == "no interval: too few values that vary"
    )
