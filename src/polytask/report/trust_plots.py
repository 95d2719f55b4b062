"""Pictures of the section "How sure": reliability before and after, with n per bin, and risk against coverage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from polytask.report.drawing import (
    BLUE,
    FAINT_INK,
    ORANGE,
    Picture,
    create_figure,
    draw_legend_below,
    encode_svg,
    pick_palette_color,
    use_report_style,
    wrap_label,
)
from polytask.report.report_material import ReportMaterial
from polytask.statistics.share_interval import compute_wilson_interval
from polytask.trust.fit_runs import RunsTrust
from polytask.trust.measures.reliability import BINS
from polytask.trust.measures.task_measures import Answering, Reliability

TRUST_PICTURE_INCHES = 3.4
RELIABILITY_NOTE = (
    "Ten bins of equal width. Above: observed share against mean probability; bars at the given probabilities are 95 % "
    "Wilson intervals. Below: n, how many probabilities lie in each bin; bins of few say little."
)
COVERAGE_NOTE = (
    "Error of the surest answers, against the share of the answers that are given; the rest is left to people. A flat "
    "curve: confidence does not tell right from wrong. Dotted: the error of all answers. Few answers on the left make "
    "it jump. Cross: the threshold that was asked for, on subjects that did not choose it."
)


def make_trust_pictures(material: ReportMaterial, fitted: RunsTrust) -> list[Picture]:
    """Draw reliability and risk–coverage of each task that has them."""
    pictures = []
    with use_report_style():
        for name, measures in fitted.measures.items():
            title = material.names.task(name)
            if measures.calibration is not None:
                raw, after = measures.calibration
                used = all(own.calibrator is not None for own in fitted.tasks[name])
                drawn = create_figure(TRUST_PICTURE_INCHES, 4.3)
                draw_reliability_bins(drawn, raw, after, used, f"Reliability: {title}")
                alt = f"Reliability of {title} before and after calibrating"
                pictures.append(Picture(encode_svg(drawn), alt, RELIABILITY_NOTE, width=TRUST_PICTURE_INCHES))
            # Without a spread all numbers are equally sure, and a curve would be one dot.
            if curves := {k: own for k, own in measures.answering.items() if len(own.curve.coverage) > 1}:
                names = {
                    k: material.names.word(name, fitted.words[name][int(k)]) if k else title for k in curves
                }
                drawn = create_figure(TRUST_PICTURE_INCHES, 3.3 + 0.17 * len(curves))
                draw_risk_coverage(drawn.subplots(), curves, names, f"When not to answer: {title}")
                alt = f"Risk against coverage of {title}"
                pictures.append(Picture(encode_svg(drawn), alt, COVERAGE_NOTE, width=TRUST_PICTURE_INCHES))
    return pictures


def draw_reliability_bins(figure: Any, raw: Reliability, after: Reliability, used: bool, title: str) -> None:
    """Draw observed against predicted, and below it how many answers each bin has. `used`: whether calibrated
    probabilities are given."""
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.set(title=title, ylabel="observed share", xlim=(0, 1), ylim=(-0.02, 1.02))
    upper.plot([0, 1], [0, 1], color=FAINT_INK, lw=1, ls="--", zorder=1)
    edges = np.arange(BINS) / BINS
    for k, (own, word, ink) in enumerate(((raw, "as predicted", ORANGE), (after, "calibrated", BLUE))):
        given = used == (k == 1)
        bins, filled = own.bins, own.bins.n > 0
        x, y = bins.mean_p[filled], bins.share[filled]
        if given:
            ends = [
                compute_wilson_interval(hits, n)
                for hits, n in zip(bins.y[filled], bins.n[filled], strict=True)
            ]
            reach = np.clip(
                [
                    [s - low for s, (low, _) in zip(y, ends, strict=True)],
                    [high - s for s, (_, high) in zip(y, ends, strict=True)],
                ],
                0,
                None,
            )
            upper.errorbar(x, y, reach, fmt="none", ecolor=ink, elinewidth=0.8, alpha=0.6)
        error = own.debiased
        label = f"{word}{' (given)' if given else ''}: error {error.estimate:.2f} ({error.low:.2f} to {error.high:.2f})"
        upper.plot(x, y, "o-", color=ink, ms=3.5, lw=1.2, label=label)
        lower.bar(edges + (0.25 + 0.5 * k) / BINS, bins.n, 0.45 / BINS, color=ink)
    lower.set(xlabel="predicted probability", ylabel="n")
    lower.legend(
        *upper.get_legend_handles_labels(), loc="upper center", bbox_to_anchor=(0.5, -0.55), handlelength=1.4
    )


def draw_risk_coverage(
    axes: Any, curves: Mapping[str, Answering], names: Mapping[str, str], title: str
) -> None:
    """Draw the error of the answered against their share, a curve for each question."""
    for k, (key, own) in enumerate(curves.items()):
        ink = pick_palette_color(k)
        label = f"{wrap_label(names[key])}: AUGRC {own.augrc:.3g} (n {own.n})"
        axes.step(own.curve.coverage, own.curve.risk, where="post", color=ink, label=label)
        axes.axhline(own.error, color=ink, lw=0.8, ls=":")
        if own.refer is not None and not own.refer.refused:
            axes.plot(own.refer.answered[0], own.refer.error[0], "X", color=ink, ms=7, mec="white")
    axes.set(title=title, xlabel="share that is answered", ylabel="error among the answered", xlim=(0, 1.02))
    axes.set_ylim(bottom=0)
    draw_legend_below(axes)
