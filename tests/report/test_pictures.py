from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from sklearn.metrics import confusion_matrix

from polytask.evaluation.risk_group_survival import split_into_risk_groups
from polytask.report import class_plots, decision_plots, dose_plots, survival_plots, training_plots
from polytask.report.drawing import create_figure, use_report_style
from polytask.report.report_material import ReportMaterial
from polytask.report.summary_picture import save_picture
from polytask.tasks import make_task
from tests.evaluation.worlds import items


@pytest.mark.parametrize("name", ["flat", "solid"])
def test_summary_picture(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    path = save_picture(request.getfixturevalue(name), tmp_path / "docs" / "report.png", dots=40)
    with Image.open(path) as image:
        assert image.width == 560
        colors = np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)
    assert len(colors) > 100


def test_summary_picture_without_masks(flat: ReportMaterial, tmp_path: Path) -> None:
    only = {"grade": flat.tasks["grade"]}
    found = replace(
        flat.evaluation,
        tasks={"grade": flat.evaluation.tasks["grade"]},
        skill={"grade": flat.evaluation.skill["grade"]},
    )
    assert (
        save_picture(replace(flat, tasks=only, evaluation=found), tmp_path / "x.png", dots=40).stat().st_size
        > 1000
    )


def test_questions_of_each_kind() -> None:
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    three = make_task("t", {"kind": "classification", "level": "visit", "classes": ("a", "b", "c")})
    asked = class_plots.list_binary_questions(three, items({"p": p}, [0, 2]))
    assert [q.name for q in asked] == ["a", "b", "c"]
    assert asked[2].truth.tolist() == [False, True]
    grade = make_task("t", {"kind": "ordinal", "level": "visit", "classes": ("a", "b", "c")})
    ordered = class_plots.list_binary_questions(grade, items({"p": p}, [0, 2]))
    assert [q.name for q in ordered] == ["≥ b", "≥ c"]
    np.testing.assert_allclose(ordered[0].p, [0.3, 0.9])
    two = make_task("t", {"kind": "classification", "level": "visit", "classes": ("a", "b")})
    assert [q.name for q in class_plots.list_binary_questions(two, items({"p": p[:, :2]}, [0, 1]))] == ["b"]
    labels = make_task("t", {"kind": "multilabel", "level": "visit", "labels": ("x", "y")})
    known = np.array([[True, False], [True, True]])
    per = class_plots.list_binary_questions(labels, items({"p": p[:, :2]}, [[1, 0], [0, 1]], known))
    assert [(q.name, q.truth.tolist()) for q in per] == [("x", [True, False]), ("y", [True])]


def test_confusion_is_that_of_sklearn() -> None:
    random = np.random.default_rng(0)
    truth, p = random.integers(0, 3, 30), random.dirichlet([1, 1, 1], 30)
    task = make_task("t", {"kind": "classification", "level": "visit", "classes": ("a", "b", "c")})
    np.testing.assert_array_equal(
        class_plots.count_confusion(task, items({"p": p}, truth)), confusion_matrix(truth, p.argmax(1))
    )


def test_names_with_signs_of_formulas_or_foreign_letters_are_drawn() -> None:
    with use_report_style():
        drawn = create_figure(3, 3)
        axes = drawn.subplots()
        asked = [
            class_plots.BinaryQuestion(n, np.array([0.1, 0.8, 0.3]), np.array([False, True, True]))
            for n in ("$x_", "肺")
        ]
        class_plots.draw_roc(axes, asked)
        drawn.canvas.draw()
        assert "$x_" in axes.get_legend().get_texts()[0].get_text()


def test_curve_after_the_last_event_and_ticks_of_the_censored() -> None:
    groups = survival_plots.group_items_by_risk(
        items({"risk": np.array([0.0, 0.1, 2.0, 3.0])}, [[5.0, 1], [9.0, 0], [2.0, 1], [3.0, 1]]), (1.0,)
    )
    with use_report_style():
        drawn = create_figure(5, 4)
        top, below = drawn.subplots(2, 1)
        survival_plots.draw_survival(top, groups, "days", below)
    steps = [(line.get_xdata()[-1], line.get_ydata()[-1]) for line in top.lines if line.get_label()[0] != "_"]
    assert steps == [(9.0, 0.5), (3.0, 0.0)]
    ticks = [line for line in top.lines if line.get_marker() == "|"]
    assert [list(map(float, t.get_ydata())) for t in ticks] == [[0.5], []]
    assert next(t.get_text() for t in below.texts) == "2"


def test_single_networks_have_a_curve_each(flat: ReportMaterial) -> None:
    log = {t: [{**e, "network": t} for e in flat.log[""]] for t in flat.tasks}
    with use_report_style():
        axes = create_figure(4, 3).subplots()
        training_plots.draw_skills(axes, log, flat.tasks)
        assert {t.get_text() for t in axes.get_legend().get_texts()} == set(flat.tasks)


def test_a_short_run_draws_the_steps_and_never_a_single_dot(flat: ReportMaterial) -> None:
    epoch = {"step": 20, "loss": {"grade": 0.5}, "tune": {"skill": 0.2, "grade": {"kappa": 0.2}}}
    steps = [{"step": k, "losses": {"grade": 1.0 / k}} for k in range(1, 21)]
    short = {"": [*steps, epoch]}
    assert [s for s, _ in training_plots.read_task_losses(short, "grade")] == list(range(1, 21))
    whole = {"": [*steps, *({**epoch, "step": 20 * k} for k in (1, 2, 3))]}
    assert [s for s, _ in training_plots.read_task_losses(whole, "grade")] == [20, 40, 60]
    one = replace(flat, log={"": [epoch]})
    assert training_plots.make_training_pictures(one) == []
    assert training_plots.explain_missing_curves(one) == [
        "No curve of the losses: fewer than two were logged.",
        "No curve of the skill on tune: it was evaluated fewer than two times; the mean skill was 0.20.",
    ]
    drawn = replace(flat, log=short)
    assert [p.alt for p in training_plots.make_training_pictures(drawn)] == [
        "Loss of each task over training steps"
    ]
    assert len(training_plots.explain_missing_curves(drawn)) == 1
    assert training_plots.explain_missing_curves(flat) == []


def boxes(drawn: Figure) -> tuple[list[Any], list[Any]]:
    """Of the axes, and of every legend and free text, in pixels."""
    canvas = FigureCanvasAgg(drawn)
    canvas.draw()
    renderer = canvas.get_renderer()
    legends = [a.get_legend() for a in drawn.axes if a.get_legend()]
    texts = [t for a in drawn.axes for t in a.texts if t.get_text()]
    return [a.get_window_extent(renderer) for a in drawn.axes], [
        x.get_window_extent(renderer) for x in (*legends, *texts)
    ]


def test_no_legend_and_no_text_lies_over_data(flat: ReportMaterial) -> None:
    """Legends and words stand outside the axes they belong to."""
    p, truth = np.array([0.1, 0.8, 0.3]), np.array([False, True, True])
    asked = [class_plots.BinaryQuestion(f"a class with a rather long name {k}", p, truth) for k in range(4)]
    groups = survival_plots.group_items_by_risk(
        items({"risk": np.arange(40.0)}, [[float(50 - k), k % 2] for k in range(40)])
    )
    with use_report_style():
        for draw in (
            lambda axes: class_plots.draw_roc(axes, asked),
            lambda axes: class_plots.draw_reliability(axes, asked),
            lambda axes: survival_plots.draw_survival(axes, groups, "days", None, [10.0]),
            lambda axes: training_plots.draw_losses(axes, flat.log, list(flat.tasks)),
            lambda axes: training_plots.draw_skills(axes, flat.log, flat.tasks),
            lambda axes: training_plots.draw_skill_forest(axes, [flat.evaluation, flat.evaluation]),
            lambda axes: dose_plots.draw_histograms(axes, {"rectum": (np.arange(9.0), np.arange(9.0))}, "Gy"),
        ):
            drawn = create_figure(4, 4.5)
            draw(drawn.subplots())
            axes, words = boxes(drawn)
            assert words
            for box in words:
                assert not any(box.shrunk(0.98, 0.98).overlaps(a) for a in axes)


def test_shares_at_the_times_of_the_header_are_those_of_lifelines(flat: ReportMaterial) -> None:
    from lifelines import KaplanMeierFitter

    random = np.random.default_rng(3)
    times, events = random.integers(1, 60, 80).astype(float), (random.random(80) < 0.6).astype(float)
    (group,) = split_into_risk_groups(np.zeros(80), times, events, ())
    fitted = KaplanMeierFitter().fit(times, events)
    for at in (10.0, 25.0, 40.0):
        low, high = fitted.confidence_interval_survival_function_.loc[:at].iloc[-1]
        cell = survival_plots.build_survival_cell(group, at)
        assert cell.value == f"{fitted.predict(at):.2f}"
        assert cell.interval == f"{low:.2f} to {high:.2f}"
        assert cell.n == f"{int((times >= at).sum())} still followed"
    late = survival_plots.build_survival_cell(group, 59.0)
    assert late.value == "not defined"
    assert "fewer than 5" in late.why


def test_horizons_are_the_headers_else_years(flat: ReportMaterial) -> None:
    spec = flat.cohort.header.tasks["os"]
    assert survival_plots.choose_shown_horizons(flat, "os") == list(spec.horizons)  # type: ignore[union-attr]
    tasks = {**flat.cohort.header.tasks, "os": spec.model_copy(update={"horizons": []})}
    header = flat.cohort.header.model_copy(update={"tasks": tasks})
    years = survival_plots.choose_shown_horizons(
        replace(flat, cohort=replace(flat.cohort, header=header)), "os"
    )
    followed = flat.answers.pooled["os"].value[flat.answers.pooled["os"].known][:, 0].max()
    assert years == [h for h in (365.0, 730.0, 1825.0) if h < followed]
    table = survival_plots.build_survival_table(flat, "os")
    assert table is not None
    assert table.columns[1:] == [f"at {h:g} days" for h in spec.horizons]  # type: ignore[union-attr]


def test_cumulative_histogram() -> None:
    dose, share = dose_plots.compute_cumulative_histogram(np.array([10.0, 30.0, 20.0, 40.0]))
    assert dose.tolist() == [0, 10, 20, 30, 40]
    assert share.tolist() == [1, 1, 0.75, 0.5, 0.25]
    assert len(dose_plots.compute_cumulative_histogram(np.arange(1e5))[0]) <= 400


def test_decision_curves_are_drawn_to_scale_and_say_who_they_are_of() -> None:
    curve = {
        "thresholds": [0.1, 0.5, 0.9],
        "model": [0.3, 0.2, 0.0],
        "all": [0.25, -0.4, -6.0],
        "none": [0, 0, 0],
    }
    with use_report_style():
        axes = create_figure(4, 3).subplots()
        decision_plots.draw_decision_curves(axes, {"yes": {**curve, "n": 10, "positives": 3}})
    assert [list(map(float, line.get_ydata())) for line in axes.lines[:2]] == [
        [0.3, 0.2, 0.0],
        [0.25, -0.4, -6.0],
    ]
    texts = [t.get_text() for t in axes.get_legend().get_texts()]
    assert texts == ["yes (n 10, 3 positive)", "act on all", "act on none"]
    assert axes.get_ylim() == pytest.approx((-0.075, 0.324))


def test_groups_in_words() -> None:
    compared = {
        "log_rank": {"statistic": 9.1, "freedom": 1, "p": 0.0026},
        "hazard_ratio": {"estimate": 2.5, "low": 1.4, "high": 4.6, "n": 40},
        "note": "",
    }
    said = survival_plots.describe_group_comparison(compared)
    assert said == (
        "Log-rank test p = 0.003. Hazard ratio, highest against lowest group: 2.50 (95 % interval 1.40 to 4.60)."
    )
    assert survival_plots.describe_group_comparison({}) == ""
