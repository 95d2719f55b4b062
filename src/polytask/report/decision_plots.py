"""Decision curves: the net benefit of acting on the model's answer, over threshold probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from polytask.report.drawing import (
    FAINT_INK,
    Picture,
    create_figure,
    draw_empty_panel,
    encode_svg,
    pick_palette_color,
    use_report_style,
)
from polytask.report.report_material import ReportMaterial


def make_decision_pictures(material: ReportMaterial, name: str) -> list[Picture]:
    """Draw one figure for a task with two classes or with labels; none where no curve is defined."""
    curves = material.evaluation.decision_curves.get(name, {})
    if not curves:
        return []
    with use_report_style():
        drawn = create_figure(5.2, 3.3)
        draw_decision_curves(drawn.subplots(), curves)
        note = (
            "Net benefit: true positives per case, minus false ones weighed by the odds of the threshold probability "
            "from which one would act (Vickers and Elkin 2006). The model helps where its curve lies above those of "
            "acting on all and of acting on none."
        )
        return [Picture(encode_svg(drawn), f"Decision curve of {name}", note)]


def draw_decision_curves(axes: Any, curves: Mapping[str, Mapping[str, Any]]) -> None:
    """Draw the curves of the model and of acting on everybody, per class or label; acting on nobody is 0."""
    axes.set(title="Decision curve", xlabel="threshold probability", ylabel="net benefit")
    if not curves:
        draw_empty_panel(axes, "not defined: the part has\nonly one class")
        return
    top = max(c["positives"] / c["n"] for c in curves.values())
    for k, (label, curve) in enumerate(curves.items()):
        at = np.asarray(curve["thresholds"], float)
        # The last thresholds weigh a false alarm up to 99 times: what lies far below 0 is not drawn.
        model, everybody = (np.asarray(curve[key], float) for key in ("model", "all"))
        axes.plot(
            at,
            model,
            color=pick_palette_color(k),
            label=f"{label} (n {curve['n']}, {curve['positives']} positive)",
        )
        axes.plot(
            at, everybody, color=pick_palette_color(k), lw=1, ls=":", label="act on all" if k == 0 else None
        )
    axes.axhline(0, color=FAINT_INK, lw=1.2, ls="--", zorder=1, label="act on none")
    axes.set(xlim=(0, 1), ylim=(-0.25 * top, 1.08 * top))
    axes.legend(loc="upper right")
