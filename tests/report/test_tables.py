from __future__ import annotations

import numpy as np
import pytest

from polytask.evaluation.result import Estimate
from polytask.report.material import Material
from polytask.report.tables import (
    Cell,
    Table,
    cell,
    details,
    known,
    number,
    overview,
    signed,
    skills,
    split,
    with_n,
)

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
    assert number(value) == text
    assert signed(0.1) == "+0.100"
    assert signed(-0.1) == "−0.100"


def test_cells() -> None:
    assert cell(Estimate(0.5, 0.4, 0.6, 7)) == Cell("0.500", "0.400 to 0.600", "n 7")
    assert cell(Estimate(NAN, NAN, NAN, 0)) == Cell("not defined", "", "n 0")
    assert cell(Estimate(NAN, NAN, NAN, 0), why="no event") == Cell("not defined", why="no event")
    assert cell(Estimate(0.5, NAN, NAN, 2)).interval == "too few for an interval"
    assert cell(Estimate(0.1, 0.05, 0.2, 7), difference=True).strong
    assert not cell(Estimate(0.1, -0.05, 0.2, 7), difference=True).strong


def test_metrics_of_structures_become_rows() -> None:
    assert split("dice.kidney_l", ["kidney_l"]) == ("kidney_l", "dice")
    assert split("dvh.kidney.l.D0.1cc", ["kidney.l"]) == ("kidney.l", "D0.1cc")
    assert split("auc.T365", []) == ("T365", "auc")


def test_n_moves_into_a_column_where_it_is_the_same_along_a_row() -> None:
    same = Table("", ["", "a", "b"], [("x", [Cell("1", "", "n 3"), Cell("2", "", "n 3")])])
    assert with_n(same) == Table("", ["", "a", "b", "n"], [("x", [Cell("1"), Cell("2"), Cell("3")])])
    other = Table("", ["", "a", "b"], [("x", [Cell("1", "", "n 3"), Cell("2", "", "n 4")])])
    assert with_n(other) == other


def test_every_metric_is_in_the_tables_of_its_task(flat: Material) -> None:
    found = flat.evaluation
    assert [r[0] for r in overview(flat).rows] == [*found.tasks]
    assert [r[0] for r in skills(flat).rows] == [*found.tasks, "mean skill"]
    for task, metrics in found.metrics.items():
        shown = [c for t in details(flat, task) for _, cells in t.rows for c in cells if c.value != "–"]
        counted = sum("n" in t.columns for t in details(flat, task)) and sum(
            len(t.rows) for t in details(flat, task) if "n" in t.columns
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
    assert known(counts) == (
        "7 known of 9 answered, 1 subject; 3 events; truth empty in a 1; 2 known truths without a prediction"
    )
    assert np.isfinite(len(known({"items": 0, "known": 0, "subjects": 0, "unanswered": 0})))


def test_why_there_is_no_interval() -> None:
    few = Estimate(0.5, NAN, NAN, 12, "too few: 12 subjects, 20 needed")
    assert cell(few).interval == "too few for an interval"
    assert (
        cell(few._replace(reason="too few values that vary")).interval
        == "no interval: too few values that vary"
    )
