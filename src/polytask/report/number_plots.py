"""Pictures for answers that are numbers: predicted against true, and Bland–Altman."""

from __future__ import annotations

from typing import Any

import numpy as np

from polytask.array_types import Floats
from polytask.evaluation.bland_altman import compute_limits_of_agreement
from polytask.inference.pooled_answers import PooledAnswers
from polytask.report.drawing import (
    BLUE,
    FAINT_INK,
    INK,
    RED,
    Picture,
    create_figure,
    draw_empty_panel,
    encode_svg,
    use_report_style,
)
from polytask.report.report_material import ReportMaterial


def make_number_pictures(material: ReportMaterial, name: str) -> list[Picture]:
    """Draw the scatter plot and the Bland–Altman plot, as two pictures."""
    truth, answer = select_known_values(material.answers.pooled[name])
    unit, title = str(getattr(material.tasks[name], "unit", "")), material.names.task(name)
    with use_report_style():
        scatter, difference = create_figure(3.5, 3.4), create_figure(4.0, 3.4)
        draw_scatter(scatter.subplots(), truth, answer, unit)
        draw_agreement(difference.subplots(), truth, answer, unit)
        note = (
            "Differences against means; lines: the bias, and the limits within which 95 % of differences lie."
        )
        return [
            Picture(
                encode_svg(scatter),
                f"Predicted against true {title}",
                "On the dashed line, prediction and truth are equal.",
                width=3.5,
            ),
            Picture(encode_svg(difference), f"Bland–Altman of {title}", note, width=4.0),
        ]


def select_known_values(items: PooledAnswers) -> tuple[Floats, Floats]:
    """Return (true, predicted) values `[n]` of the known items."""
    if not items.ids:
        return np.zeros(0), np.zeros(0)
    return (
        np.asarray(items.value[items.known], np.float64),
        np.asarray(items.prediction["value"][items.known], np.float64),
    )


def draw_scatter(axes: Any, truth: Floats, answer: Floats, unit: str) -> None:
    """Draw predicted against true values on equal axes."""
    where = f" ({unit})" if unit else ""
    axes.set(title="Predicted against true", xlabel=f"true{where}", ylabel=f"predicted{where}")
    if not truth.size:
        draw_empty_panel(axes, "nothing known here")
        return
    low, high = float(min(truth.min(), answer.min())), float(max(truth.max(), answer.max()))
    gap = 0.05 * (high - low) or 1.0
    ends = (low - gap, high + gap)
    axes.plot(ends, ends, color=FAINT_INK, lw=1, ls="--", zorder=1)
    # Thousands of vector dots would make the page large, so many dots become pixels.
    axes.plot(truth, answer, "o", color=BLUE, ms=4, alpha=0.65, mew=0, rasterized=truth.size > 2000)
    axes.set(xlim=ends, ylim=ends, aspect="equal")


def draw_agreement(axes: Any, truth: Floats, answer: Floats, unit: str) -> None:
    """Draw the difference against the mean, with bias and limits of agreement."""
    where = f" ({unit})" if unit else ""
    axes.set(title="Bland–Altman", xlabel=f"mean of both{where}", ylabel=f"predicted − true{where}")
    if not truth.size:
        draw_empty_panel(axes, "nothing known here")
        return
    agreement = compute_limits_of_agreement(answer, truth)
    axes.plot((truth + answer) / 2, answer - truth, "o", color=BLUE, ms=4, alpha=0.65, mew=0)
    axes.margins(y=0.15)
    for value, ink, text in (
        (agreement.bias, INK, "bias"),
        (agreement.low, RED, "− 1.96 sd"),
        (agreement.high, RED, "+ 1.96 sd"),
    ):
        if np.isfinite(value):
            axes.axhline(value, color=ink, lw=1.1, ls="-" if ink == INK else "--")
            axes.annotate(
                f"{text} {value:.3g}",
                (1.01, value),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=8,
                color=ink,
            )
