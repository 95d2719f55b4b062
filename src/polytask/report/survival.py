"""Kaplan–Meier curves of groups by predicted risk, with numbers at risk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from polytask.evaluation.answers import Items
from polytask.evaluation.groups import Group, known_survival, risk_groups
from polytask.report.drawing import GREEN, ORANGE, RED, Picture, figure, nothing, styled, svg
from polytask.report.material import Material

INKS = {"middle risk": ORANGE, "higher risk": RED, "high risk": RED}
"""Group → color; the others are green."""


def pictures(material: Material, name: str) -> list[Picture]:
    """One figure: curves above, numbers at risk below."""
    task, compared = material.tasks[name], material.evaluation.groups.get(name, {})
    groups = groups_of(material.answers.pooled[name], compared.get("cutoffs", ()))
    with styled():
        drawn = figure(6.6, 4.2)
        axes, below = drawn.subplots(2, 1, height_ratios=(5, max(1, 0.55 * len(groups))))
        draw_survival(axes, groups, getattr(task, "unit", ""), below)
        how = (
            "Groups by predicted risk, cut where the risks of the training subjects were cut"
            if compared.get("cutoffs")
            else "All subjects (the run has no cut-offs of its training risks)"
        )
        note = (
            f"{how}; ticks are censored subjects. Below: how many are still followed. {describe_groups(compared)}"
        ).strip()
        return [Picture(svg(drawn), f"Kaplan–Meier curves of {name} by predicted risk", note)]


def groups_of(items: Items, cutoffs: Sequence[float] = ()) -> list[Group]:
    """Known items, by predicted risk."""
    if not items.ids or not items.known.any():
        return []
    return risk_groups(*known_survival(items), cutoffs)


def describe_groups(compared: Mapping[str, Any]) -> str:
    """Log-rank test and hazard ratio in words, from `Evaluation.groups`; empty when nothing was compared."""
    if not compared:
        return ""
    texts, p, ratio = [], compared["log_rank"]["p"], compared["hazard_ratio"]
    if p is not None:
        texts.append(f"Log-rank test p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}.")
    if ratio["estimate"] is not None:
        interval = (
            "" if ratio["low"] is None else f" (95 % interval {ratio['low']:.2f} to {ratio['high']:.2f})"
        )
        texts.append(f"Hazard ratio, highest against lowest group: {ratio['estimate']:.2f}{interval}.")
    if compared["note"]:
        texts.append(f"{compared['note'][0].upper()}{compared['note'][1:]}.")
    return " ".join(texts)


def draw_survival(axes: Any, groups: Sequence[Group], unit: str, below: Any = None) -> None:
    """Curves; with `below` also the table of numbers at risk."""
    axes.set_title("Survival by predicted risk")
    if not groups:
        nothing(axes, "nothing known here")
        if below is not None:
            below.set_axis_off()
        return
    end = max(max(g.followed) for g in groups) or 1.0
    for group in groups:
        ink = INKS.get(group.name, GREEN)
        last = max(group.followed)
        x = [0.0, *group.times, last]
        y = [1.0, *group.survival, group.survival[-1] if group.survival else 1.0]
        axes.step(x, y, where="post", color=ink, label=f"{group.name}: n {group.n}, events {group.events}")
        axes.plot(group.censored, _at(group, group.censored), "|", color=ink, ms=7, mew=1.2)
    axes.set(xlim=(0, end * 1.02), ylim=(0, 1.03), ylabel="without event")
    axes.legend(loc="lower left")
    axes.set_xlabel(f"time ({unit})" if unit else "time")
    if below is not None:
        draw_at_risk(below, groups, axes)


def draw_at_risk(below: Any, groups: Sequence[Group], axes: Any) -> None:
    """Numbers at risk under the ticks of the curves."""
    low, high = axes.get_xlim()
    ticks = [t for t in axes.get_xticks() if low <= t <= high]
    axes.set_xticks(ticks)
    below.set(xlim=(low, high), ylim=(len(groups) - 0.5, -0.5), xticks=[])
    below.set_yticks(range(len(groups)), [g.name for g in groups])
    for k, group in enumerate(groups):
        ink = INKS.get(group.name, GREEN)
        below.get_yticklabels()[k].set_color(ink)
        for t, n in zip(ticks, group.at_risk(ticks), strict=True):
            below.text(t, k, str(n), ha="center", va="center", fontsize=8)
    below.set_title("at risk", fontsize=8, fontweight="normal")
    below.grid(visible=False)
    for side in ("left", "bottom"):
        below.spines[side].set_visible(False)
    below.tick_params(length=0, pad=14)


def _at(group: Group, times: Sequence[float]) -> list[float]:
    """The curve's height at each time."""
    place = np.searchsorted(np.asarray(group.times), np.asarray(times), side="right")
    return [float(v) for v in np.concatenate([[1.0], group.survival])[place]]
