"""Builds the tables of the page: effects task by task, Δm, costs, and skill on tune."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from polytask.report.metric_tables import DASH, ReportTable, TableCell, format_number
from polytask.statistics.effect import ONE_SEED_NOTE
from polytask.study.arms import BASELINE
from polytask.study.conclusions.arm_comparison import ArmComparison
from polytask.study.conclusions.arm_costs import COST_NAMES, ArmCosts
from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.conclusions.finished_runs import TaskInfo
from polytask.study.report.effect_text import (
    count_with_noun,
    format_amount,
    format_change,
    format_change_interval,
    format_confidence_level,
    format_cost_ratio,
    format_effect_unit,
    format_metric_with_unit,
    format_p_value,
    format_training_duration,
)


@dataclass(frozen=True)
class TaskSection:
    """The section of one task.

    Args:
        metric: the primary metric with its direction. effects: table with one row per arm.
        notes: warnings for the reader.
    """

    name: str
    kind: str
    level: str
    metric: str
    effects: ReportTable
    notes: list[str]


def build_task_sections(conclusions: Conclusions) -> list[TaskSection]:
    """Build the sections of all tasks that were compared."""
    sections = []
    for task, task_info in conclusions.asked.items():
        rows = [c for c in conclusions.comparisons if c.task == task]
        if rows:
            direction = "more is better" if task_info.higher else "less is better"
            metric = f"{format_metric_with_unit(task_info)}, {direction}"
            sections.append(
                TaskSection(
                    task_info.title,
                    task_info.kind,
                    task_info.level,
                    metric,
                    build_effects_table(rows, task_info),
                    list_effect_notes(rows),
                )
            )
    return sections


def build_effects_table(rows: Sequence[ArmComparison], task_info: TaskInfo) -> ReportTable:
    """Build the table of one task with one row per arm: values, difference, verdict, and number of cases."""
    columns = [
        "arm",
        format_metric_with_unit(task_info),
        "single",
        f"difference in {format_effect_unit(task_info)}",
        "plain 95 % interval",
        "p, adjusted",
        "verdict",
        "known cases",
        "difference by fold",
        "cross-checks",
    ]
    return ReportTable("", columns, [(c.arm, build_effect_cells(c, task_info)) for c in rows])


def build_effect_cells(c: ArmComparison, task_info: TaskInfo) -> list[TableCell]:
    """Build the cells of one row of the table of effects."""
    e, v = c.effect, c.verdict
    if not isfinite(e.estimate):
        return (
            [TableCell(DASH)] * 5
            + [TableCell("not defined")]
            + [TableCell(DASH)] * 2
            + [build_checks_cell(c)]
        )
    shown = v.word in ("better", "worse")
    level = f"at {format_confidence_level(v.level)}" if isfinite(v.level) else ""
    detectable = (
        f"would have shown ≥ {format_amount(v.detectable, task_info)}" if isfinite(v.detectable) else ""
    )
    # Where subjects are too few, the reason matters more than the smallest effect that could have been shown.
    detectable = e.too_few if v.word == "too few" else detectable
    return [
        TableCell(format_number(e.arm / task_info.points)),
        TableCell(format_number(e.baseline / task_info.points)),
        TableCell(
            format_change(e.estimate, task_info),
            format_change_interval(v.low, v.high, task_info),
            level,
            strong=shown,
        ),
        TableCell(format_change_interval(*e.interval(), task_info) or DASH),
        TableCell(format_p_value(v.p)),
        TableCell(v.word, detectable, strong=shown),
        TableCell(
            str(sum(e.cases.values())),
            f"of {count_with_noun(e.subjects, 'subject')}",
            f"{count_with_noun(len(e.folds), 'fold')} × {count_with_noun(len(e.seeds), 'seed')}",
        ),
        TableCell(", ".join(format_change(value, task_info) for value in e.folds.values())),
        build_checks_cell(c),
    ]


def build_checks_cell(c: ArmComparison) -> TableCell:
    """Build the cell with the unadjusted p-values of the cross-checks."""
    check_texts = "; ".join(f"{k.name}: {_format_p_equation(k.p)}" for k in c.checks)
    cases = sorted({k.n for k in c.checks})
    return TableCell(check_texts, n=f"n {', '.join(map(str, cases))}") if check_texts else TableCell(DASH)


def _format_p_equation(p: float) -> str:
    text = format_p_value(p)
    return f"p {text}" if text[:1] == "<" else f"p = {text}"


def list_effect_notes(rows: Sequence[ArmComparison]) -> list[str]:
    """List each note once, with its arms unless it concerns all of them; then the subjects that carry an effect.

    The note about one seed is left out: it stands at the top of the page.
    """
    by_note: dict[str, list[str]] = {}
    for c in rows:
        for note in c.effect.notes:
            by_note.setdefault(note, []).append(c.arm)
    # It holds for the whole study, so the head of the page says it once.
    by_note.pop(ONE_SEED_NOTE, None)
    arm_count = len({c.arm for c in rows})
    notes = [n if len(arms) == arm_count else f"{', '.join(arms)}: {n}" for n, arms in by_note.items()]
    return notes + [f"{c.arm}: {describe_carriers(c)}" for c in rows if c.effect.carriers]


def describe_carriers(c: ArmComparison) -> str:
    """Describe which subjects carry an effect."""
    who = c.effect.carriers
    verb = "carries" if len(who) == 1 else "carry"
    return f"{count_with_noun(len(who), 'subject')} {verb} this effect: {', '.join(who)}"


def build_delta_m_table(conclusions: Conclusions) -> tuple[ReportTable | None, str]:
    """Build the table of Δm by arm and its tasks; reasons for left-out tasks stand below where all arms share them."""
    if not conclusions.gains:
        return None, ""
    reasons = {
        arm: "; ".join(f"{conclusions.asked[task].title}: {why}" for task, why in gain.left_out.items())
        for arm, gain in conclusions.gains.items()
    }
    alike = len(set(reasons.values())) == 1
    rows = []
    for arm, gain in conclusions.gains.items():
        value = "not defined" if gain.value is None else f"{format_relative_change(gain.value)} %"
        own = ", ".join(
            f"{conclusions.asked[task].title} {format_relative_change(v)} %" for task, v in gain.tasks.items()
        )
        rows.append(
            (
                arm,
                [TableCell(value), TableCell(own or "none")]
                + [TableCell(reasons[arm] or "none")] * (not alike),
            )
        )
    columns = ["arm", "Δm", "tasks that count", *["left out, and why"] * (not alike)]
    shared_reasons = next(iter(reasons.values())) if alike else ""
    return ReportTable("", columns, rows), f"Left out: {shared_reasons}." if shared_reasons else ""


def format_relative_change(value: float) -> str:
    """Format a relative change in percent, with its sign."""
    text = f"{value:+.1f}"
    return text.replace("-", "−") if text.strip("+-0.") else "0"


COST_COLUMN_TITLES = {
    "parameters": "parameters",
    "training_seconds": "training",
    "inference_ms": "inference per case",
    "peak_memory_mb": "peak memory, host",
    "device_memory_mb": "peak memory, accelerator",
    "disk_mb": "disk",
}


def build_costs_table(conclusions: Conclusions) -> ReportTable | None:
    """Build the table of every arm's costs, each with its ratio to the single networks together."""
    if not conclusions.prices:
        return None
    noted = [w for w in COST_NAMES if any(isfinite(getattr(p, w)) for p in conclusions.prices.values())]
    rows = []
    for arm, price in conclusions.prices.items():
        cells = []
        for cost_name in noted:
            ratio = price.relative.get(cost_name)
            ratio_text = "" if ratio is None or arm == BASELINE else format_cost_ratio(ratio)
            cells.append(TableCell(format_cost(cost_name, getattr(price, cost_name)), ratio_text))
        rows.append(
            (
                arm,
                [
                    *([build_compute_cell(arm, price)] if has_compute_timings(conclusions) else []),
                    *cells,
                    TableCell(str(price.runs)),
                ],
            )
        )
    first = ["compute of training"] if has_compute_timings(conclusions) else []
    return ReportTable("", ["arm", *first, *(COST_COLUMN_TITLES[w] for w in noted), "runs"], rows)


def has_compute_timings(conclusions: Conclusions) -> bool:
    """Whether the steps of any arm were timed side by side with those of the single networks."""
    return any(price.compute for price in conclusions.prices.values())


def build_compute_cell(arm: str, price: ArmCosts) -> TableCell:
    """Build the cell with a training step ÷ one step of each single network, with the quartiles over timed rounds."""
    c = price.compute
    if c is None or arm == BASELINE:
        return TableCell("1" if c else DASH)
    return TableCell(format_cost_ratio(c.median), f"{c.low:.2f} to {c.high:.2f}" if c.low < c.high else "")


def format_cost(what: str, value: float) -> str:
    """Format one cost in its unit."""
    if not isfinite(value):
        return DASH
    if what == "parameters":
        return f"{value:,.0f}".replace(",", " ")
    if what == "training_seconds":
        return format_training_duration(value)
    if what == "inference_ms":
        return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"
    return f"{value / 1024:.1f} GB" if value >= 1024 else f"{value:.0f} MB"


def build_tune_table(conclusions: Conclusions) -> ReportTable | None:
    """Build the table of skills on tune, with the gap to the best arm."""
    choice = conclusions.choice
    if choice is None or len(choice.skills) < 2:
        return None
    best = max(choice.skills, key=lambda a: choice.skills[a])
    rows = []
    for arm, skill in choice.skills.items():
        gap = (
            DASH
            if arm == best
            else f"{format_number(choice.skills[best] - skill)} ± {format_number(choice.errors[arm])}"
        )
        price = conclusions.prices[arm]
        cost_cell = (
            build_compute_cell(arm, price)
            if has_compute_timings(conclusions)
            else TableCell(format_training_duration(price.training_seconds))
        )
        preferred_cell = TableCell("preferred", strong=True) if arm == choice.arm else TableCell("")
        rows.append((arm, [TableCell(format_number(skill)), TableCell(gap), cost_cell, preferred_cell]))
    cost = "compute of training" if has_compute_timings(conclusions) else "training"
    return ReportTable("", ["arm", "mean skill on tune", "behind the best ± standard error", cost, ""], rows)
