"""Kaplan–Meier curves of groups by predicted risk, with numbers at risk and survival at chosen times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, log, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from polytask.cohort.header import EventTimeSpec
from polytask.evaluation.risk_group_survival import RiskGroup, select_known_survival, split_into_risk_groups
from polytask.inference.pooled_answers import PooledAnswers
from polytask.kinds.horizons import list_usual_horizons
from polytask.report.drawing import (
    FAINT_INK,
    GREEN,
    ORANGE,
    RED,
    Picture,
    create_figure,
    draw_empty_panel,
    encode_svg,
    use_report_style,
)
from polytask.report.drawing import draw_legend_below as legend_below
from polytask.report.metric_tables import ReportTable, TableCell
from polytask.report.report_material import ReportMaterial

RISK_GROUP_INKS = {"middle risk": ORANGE, "higher risk": RED, "high risk": RED}
"""Name of a risk group → color; all other groups are green."""
MIN_FOLLOWED_SUBJECTS = 5
"""Survival of a group is only given at times when at least this many subjects are still followed."""


def make_survival_pictures(material: ReportMaterial, name: str) -> list[Picture]:
    """Draw one figure: the curves above, the numbers at risk below."""
    task, compared = material.tasks[name], material.evaluation.groups.get(name, {})
    groups = group_task_by_risk(material, name)
    with use_report_style():
        drawn = create_figure(5.2, 4.4)
        axes, below = drawn.subplots(2, 1, height_ratios=(5, max(1, 0.55 * len(groups))))
        draw_survival(axes, groups, getattr(task, "unit", ""), below, choose_shown_horizons(material, name))
        how = (
            "Groups by predicted risk, divided at the cut-offs from the training subjects"
            if compared.get("cutoffs")
            else "All subjects (the run has no cut-offs from its training subjects)"
        )
        note = (
            f"{how}; ticks: subjects whose follow-up ended without the event. Below: subjects still followed. "
            f"Dotted lines: the times in the table. {describe_group_comparison(compared)}"
        ).strip()
        title = f"Kaplan–Meier curves of {material.names.task(name)} by predicted risk"
        return [Picture(encode_svg(drawn), title, note, width=5.2)]


def group_task_by_risk(material: ReportMaterial, name: str) -> list[RiskGroup]:
    """Group the subjects of a task by risk, at the cut-offs of the run."""
    cutoffs = material.evaluation.groups.get(name, {}).get("cutoffs", ())
    return group_items_by_risk(material.answers.pooled[name], cutoffs)


def group_items_by_risk(items: PooledAnswers, cutoffs: Sequence[float] = ()) -> list[RiskGroup]:
    """Group the known items by predicted risk; one group without cut-offs."""
    if not items.ids or not items.known.any():
        return []
    return split_into_risk_groups(*select_known_survival(items), cutoffs)


def describe_group_comparison(compared: Mapping[str, Any]) -> str:
    """Describe log-rank test and hazard ratio in words, from `Evaluation.groups`; "" when nothing was compared."""
    if not compared:
        return ""
    texts, p, ratio = [], compared["log_rank"]["p"], compared["hazard_ratio"]
    if p is not None:
        texts.append(f"Log-rank test p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}.")
    if ratio["estimate"] is not None:
        bounds = ratio["low"], ratio["high"]  # a bound without an end is null
        interval = "" if None in bounds else f" (95 % interval {ratio['low']:.2f} to {ratio['high']:.2f})"
        texts.append(f"Hazard ratio, highest against lowest group: {ratio['estimate']:.2f}{interval}.")
    if compared["note"]:
        texts.append(f"{compared['note'][0].upper()}{compared['note'][1:]}.")
    return " ".join(texts)


def choose_shown_horizons(material: ReportMaterial, name: str) -> list[float]:
    """Choose the times to show: those of the header; else 1, 2 and 5 years within the follow-up; else the plan's."""
    spec, task = material.cohort.header.tasks.get(name), material.tasks[name]
    header_horizons = list(spec.horizons) if isinstance(spec, EventTimeSpec) else []
    groups = group_task_by_risk(material, name)
    longest = max((t for g in groups for t in g.follow_up_times), default=0.0)
    usual = [h for h in list_usual_horizons(str(getattr(task, "unit", ""))) if h < longest]
    return header_horizons or usual or [h for h in getattr(task, "horizons", ()) if h < longest]


def build_survival_table(material: ReportMaterial, name: str) -> ReportTable | None:
    """Build the table of the observed share without the event, per risk group and time."""
    groups, horizons = group_task_by_risk(material, name), choose_shown_horizons(material, name)
    if not groups or not horizons:
        return None
    unit = str(getattr(material.tasks[name], "unit", ""))
    rows = [(g.name, [build_survival_cell(g, h) for h in horizons]) for g in groups]
    columns = ["risk group", *(f"at {h:g} {unit}".strip() for h in horizons)]
    return ReportTable("observed share without the event (Kaplan–Meier), by predicted risk", columns, rows)


def build_survival_cell(group: RiskGroup, at: float) -> TableCell:
    """Build the cell with the Kaplan–Meier survival and its 95 % interval (Greenwood, on the log(−log) scale)."""
    left = group.at_risk([at])[0]
    if left < MIN_FOLLOWED_SUBJECTS:
        return TableCell(
            "not defined", why=f"{left} of {group.n} still followed, fewer than {MIN_FOLLOWED_SUBJECTS}"
        )
    survival, variance = 1.0, 0.0
    own, before = np.asarray(group.follow_up_times), 1.0
    for time, height in zip(group.times, group.survival, strict=True):
        if time > at:
            break
        # Whoever is censored at the time of an event still counts as at risk.
        risk = int((own >= time).sum())
        # The group keeps the curve, not the events; each drop of the curve gives their number back.
        events = round(risk * (1 - height / before)) if before > 0 else 0
        if 0 < events < risk:
            variance += events / (risk * (risk - events))
        survival = before = height
    # log(−log) is not defined at 0 and 1.
    if not 0 < survival < 1:
        return TableCell(
            f"{survival:.2f}", "", f"{left} still followed", why="no interval: all or none had the event"
        )
    z, scale = NormalDist().inv_cdf(0.975), sqrt(variance) / abs(log(survival))
    # On this scale the interval stays between 0 and 1; the larger exponent gives the lower end.
    low, high = survival ** exp(z * scale), survival ** exp(-z * scale)
    return TableCell(f"{survival:.2f}", f"{low:.2f} to {high:.2f}", f"{left} still followed")


def draw_survival(
    axes: Any, groups: Sequence[RiskGroup], unit: str, below: Any = None, horizons: Sequence[float] = ()
) -> None:
    """Draw the curves; the legend stands under them, or above them when `below` holds the numbers at risk."""
    axes.set_title("Survival by predicted risk", pad=6 if below is None else 8 + 13 * len(groups))
    if not groups:
        draw_empty_panel(axes, "nothing known here")
        if below is not None:
            below.set_axis_off()
        return
    end = max(max(g.follow_up_times) for g in groups) or 1.0
    for at in horizons:
        if at <= end:
            axes.axvline(at, color=FAINT_INK, lw=1, ls=":", zorder=1)
    for group in groups:
        ink = RISK_GROUP_INKS.get(group.name, GREEN)
        last = max(group.follow_up_times)
        x = [0.0, *group.times, last]
        # The curve starts at 1 and is prolonged to the end of the follow-up.
        y = [1.0, *group.survival, group.survival[-1] if group.survival else 1.0]
        axes.step(x, y, where="post", color=ink, label=f"{group.name}: n {group.n}, events {group.events}")
        axes.plot(group.censored, _read_curve_heights(group, group.censored), "|", color=ink, ms=7, mew=1.2)
    axes.set(xlim=(0, end * 1.02), ylim=(0, 1.03), ylabel="share without event")
    if below is None:
        legend_below(axes)
    else:
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), handlelength=1.4, borderpad=0.1)
    axes.set_xlabel(f"time ({unit})" if unit else "time")
    if below is not None:
        draw_at_risk(below, groups, axes)


def draw_at_risk(below: Any, groups: Sequence[RiskGroup], axes: Any) -> None:
    """Draw the numbers at risk under the ticks of the curves."""
    low, high = axes.get_xlim()
    ticks = [t for t in axes.get_xticks() if low <= t <= high]
    axes.set_xticks(ticks)
    below.set(xlim=(low, high), ylim=(len(groups) - 0.5, -0.5), xticks=[])
    below.set_yticks(range(len(groups)), [g.name for g in groups])
    for k, group in enumerate(groups):
        ink = RISK_GROUP_INKS.get(group.name, GREEN)
        below.get_yticklabels()[k].set_color(ink)
        for t, n in zip(ticks, group.at_risk(ticks), strict=True):
            below.text(t, k, str(n), ha="center", va="center", fontsize=8)
    below.set_title("at risk", fontsize=8, fontweight="normal")
    below.grid(visible=False)
    for side in ("left", "bottom"):
        below.spines[side].set_visible(False)
    below.tick_params(length=0, pad=14)


def _read_curve_heights(group: RiskGroup, times: Sequence[float]) -> list[float]:
    """Read the height of the curve of a group at each time."""
    place = np.searchsorted(np.asarray(group.times), np.asarray(times), side="right")
    return [float(v) for v in np.concatenate([[1.0], group.survival])[place]]
