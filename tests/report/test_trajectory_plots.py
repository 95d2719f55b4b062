"""Trajectories of risk: whose line, on which days, and where it ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from polytask.cohort.cohort import Cohort
from polytask.inference.pooled_answers import PooledAnswers
from polytask.report.drawing import create_figure, use_report_style
from polytask.report.metric_tables import name_horizon
from polytask.report.trajectory_plots import choose_shown_horizon, draw_trajectories, list_trajectories
from tests.cohort.longitudinal import write_course


def items_of() -> PooledAnswers:
    """Patient a has the event 30 days after its second landmark (day 70); b is not known."""
    p = np.array([[0.2, np.nan], [0.5, np.nan], [0.1, np.nan], [np.nan, np.nan]])
    return PooledAnswers(
        (("a", "second"), ("a", "start"), ("b", "start"), ("b", "second")),
        {"risk": p[:, 0], "p": p},
        np.array([[30.0, 1.0], [60.0, 1.0], [0.0, 0.0], [0.0, 0.0]]),
        np.array([True, True, False, False]),
    )


def test_a_line_runs_over_the_days_of_the_visits_and_ends_at_the_event(tmp_path: Path) -> None:
    found = list_trajectories(Cohort.read(write_course(tmp_path)), items_of(), 0, "days")
    assert (found["a"].days, found["a"].p) == ((10.0, 40.0), (0.5, 0.2))
    assert (found["a"].event, found["a"].end) == (True, 70.0)
    assert (found["b"].days, found["b"].p, found["b"].event, found["b"].end) == ((0.0,), (0.1,), None, None)
    years = list_trajectories(Cohort.read(tmp_path), items_of(), 0, "years")
    assert years["a"].end == pytest.approx(10 + 60 * 365.25)


def test_the_longest_horizon_with_a_probability_is_shown() -> None:
    assert choose_shown_horizon(items_of(), {0: 5.0, 1: 9.0}) == 0
    assert choose_shown_horizon(items_of(), {1: 9.0}) is None


def test_each_patient_is_a_line_and_an_event_a_cross(tmp_path: Path) -> None:
    lines = list(list_trajectories(Cohort.read(write_course(tmp_path)), items_of(), 0, "days").values())
    with use_report_style():
        drawn = create_figure(3, 2)
        axes = drawn.subplots()
        draw_trajectories(axes, lines, "red", "here")
        FigureCanvasAgg(drawn).draw()
    markers = [line.get_marker() for line in axes.get_lines()]
    assert sorted(markers) == ["o", "o", "x"]
    assert axes.get_title(loc="left") == "2 patients here"


def test_the_rows_of_the_table_say_from_which_visit_they_count() -> None:
    assert name_horizon("T365", "days") == "365 days"
    assert name_horizon("T365", "days", True) == "365 days, mean over landmarks"
    assert name_horizon("weekT.T0.5", "years", True) == "0.5 years from weekT"
