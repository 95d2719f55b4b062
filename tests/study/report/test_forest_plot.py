from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from polytask.report.drawing import create_figure, use_report_style
from polytask.study.conclusions.arm_comparison import ArmComparison
from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.report import forest_plot

NAN = float("nan")


def rows_of(found: Conclusions, task: str) -> list[ArmComparison]:
    return [c for c in found.comparisons if c.task == task]


def test_beside_a_row_stand_effect_interval_and_word(full: Conclusions) -> None:
    told = {c.arm: forest_plot.format_comparison(c, full.asked["lesion"]) for c in rows_of(full, "lesion")}
    assert told["hard"][0].startswith("+")
    assert told["hard"][1] == "better"
    plain = next(c for c in full.comparisons if c.verdict.word == "no difference shown")
    numbers, words = forest_plot.format_comparison(plain, full.asked[plain.task])
    assert "[" in numbers
    assert words.startswith("no difference shown (would have shown ≥ ")


def test_what_is_not_defined_is_said(full: Conclusions) -> None:
    c = full.comparisons[0]
    lost = replace(c, effect=replace(c.effect, estimate=NAN))
    assert forest_plot.format_comparison(lost, full.asked[c.task]) == ("", "not defined")


def test_every_effect_is_on_its_axis(full: Conclusions) -> None:
    panels = {t: rows_of(full, t) for t in full.asked}
    spans = forest_plot.choose_axis_spans(panels, full.asked)
    for task, rows in panels.items():
        assert all(abs(c.effect.estimate) < spans[task] for c in rows)


def test_tasks_in_points_share_a_scale_unless_one_would_hide_the_rest(full: Conclusions) -> None:
    c = rows_of(full, "lesion")[0]

    def of(size: float) -> list[ArmComparison]:
        known = replace(c.effect, estimate=size, error=size / 4)
        return [replace(c, effect=known, verdict=replace(c.verdict, low=0.1 * size, high=2 * size))]

    asked = {"a": full.asked["lesion"], "b": full.asked["os"]}
    alike = forest_plot.choose_axis_spans({"a": of(1.0), "b": of(2.0)}, asked)
    apart = forest_plot.choose_axis_spans({"a": of(1.0), "b": of(20.0)}, asked)
    assert alike["a"] == alike["b"]
    assert apart["b"] == pytest.approx(20 * apart["a"])


def test_one_very_wide_interval_is_cut_with_an_arrow(full: Conclusions) -> None:
    rows = rows_of(full, "lesion")
    wide = replace(rows[0], verdict=replace(rows[0].verdict, low=-900.0, high=900.0))
    span = forest_plot.compute_axis_span([wide, *rows[1:]])
    assert span < 300
    with use_report_style():
        axes = create_figure(3, 1).subplots()
        forest_plot.draw_comparison_row(axes, 0, wide, span)
    assert sorted(str(line.get_marker()) for line in axes.lines if line.get_marker() in ("<", ">")) == [
        "<",
        ">",
    ]


def test_the_words_are_there_for_who_cannot_see(full: Conclusions) -> None:
    found = forest_plot.make_forest_pictures(full)
    assert [p.alt.partition(": ")[0].rpartition(" ")[2] for p in found] == list(full.asked)
    assert ": hard +" in found[0].alt
    assert "better; hard+famo" in found[0].alt


def test_scales_of_their_own_are_said(full: Conclusions) -> None:
    c = full.comparisons[0]
    wide = replace(c, task="os", verdict=replace(c.verdict, low=-9000.0, high=9000.0))
    assert "its own scale" in forest_plot.write_forest_note(replace(full, comparisons=[c, wide]))
    assert "its own scale" not in forest_plot.write_forest_note(replace(full, comparisons=[c]))


def test_no_joint_arm_no_plot(study: Callable[..., Conclusions]) -> None:
    assert forest_plot.make_forest_pictures(study(failed=("hard",))) == []
