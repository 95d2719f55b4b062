from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from polytask.report.drawing import create_figure, use_report_style
from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.conclusions.finished_runs import FinishedRun
from polytask.study.report import arm_curves
from tests.study.report.worlds import DICE


def test_lines_are_between_the_last_beginning_and_the_first_end() -> None:
    grid, values = arm_curves.align_curves([[(1.0, 0.0), (3.0, 2.0)], [(2.0, 5.0), (4.0, 7.0)]])
    assert grid.tolist() == [2.0, 3.0]
    assert values.tolist() == [[1.0, 2.0], [5.0, 6.0]]
    assert arm_curves.average_curves([[(1.0, 0.0), (3.0, 2.0)], [(2.0, 5.0), (4.0, 7.0)]]) == [
        (2.0, 3.0),
        (3.0, 4.0),
    ]


def test_lines_that_do_not_overlap_still_have_a_point() -> None:
    grid, values = arm_curves.align_curves([[(1.0, 0.5)], [(5.0, 0.7)]])
    assert grid.tolist() == [5.0]
    assert values[:, 0].tolist() == [0.5, 0.7]


def test_every_run_has_a_line_for_each_task(full: Conclusions) -> None:
    lines = arm_curves.collect_arm_curves(full)
    assert list(lines) == ["single", "hard", "hard+famo", "ctan"]
    for by_task in lines.values():
        assert set(by_task) == {"lesion", "grade", "dose", "os", ""}
        assert all(len(runs) == 9 for runs in by_task.values())


def test_numbers_that_are_none_are_left_out() -> None:
    log = {"": [{"step": 1, "loss": {"a": None}}, {"step": 2, "loss": {"a": 0.5, "b": True}}]}
    assert arm_curves.read_loss_curve(log, "a") == [(2.0, 0.5)]
    assert arm_curves.read_loss_curve(log, "c") == []
    assert arm_curves.read_skill_curve(
        [{"step": 1, "tune": {"skill": None}}, {"step": 2, "tune": {"skill": 0.25}}]
    ) == [(2.0, 0.25)]


def test_a_short_run_has_the_losses_of_its_steps() -> None:
    steps = [{"step": k, "losses": {"a": 1.0 / k}} for k in (1, 2, 3, 4)]
    assert arm_curves.read_loss_curve({"": [*steps, {"step": 4, "loss": {"a": 0.5}}]}, "a") == [
        (1.0, 1.0),
        (2.0, 0.5),
        (3.0, 1 / 3),
        (4.0, 0.25),
    ]


def test_a_single_value_is_no_curve() -> None:
    with use_report_style():
        axes = create_figure(3, 3).subplots()
        arm_curves.draw_arm_curve(axes, [[(5.0, 0.5)]], 0, "hard", False)
        assert list(axes.lines) == []
        arm_curves.finish_curve_panel(axes, "a", "loss of a")
        assert "no curve" in axes.texts[0].get_text()


def test_nothing_logged_nothing_drawn(study: Callable[..., Conclusions]) -> None:
    assert arm_curves.make_curves_picture(study(silent=True)) is None


def test_bands_only_while_they_can_be_told_apart(
    study: Callable[..., Conclusions], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arm_curves, "encode_svg", lambda figure: "")  # the note alone is read
    found = study(tasks={"lesion": DICE}, arms=("single", "a", "b", "c", "d"), seeds=(0,))
    few = replace(found, gathered=replace(found.gathered, folds=two_arms(found)))
    drawn = [arm_curves.make_curves_picture(found), arm_curves.make_curves_picture(few)]
    assert [p is not None and "Bands" in p.note for p in drawn] == [False, True]


def test_one_run_an_arm_has_no_band(study: Callable[..., Conclusions]) -> None:
    found = arm_curves.make_curves_picture(study(tasks={"lesion": DICE}, folds=(0,), seeds=(0,)))
    assert found is not None
    assert found.note.startswith("One run per arm.")


def two_arms(found: Conclusions) -> dict[int, dict[tuple[str, int], FinishedRun]]:
    """The runs of the first two arms alone."""
    return {
        fold: {key: run for key, run in runs.items() if key[0] in ("single", "a")}
        for fold, runs in found.gathered.folds.items()
    }
