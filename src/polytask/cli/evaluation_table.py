"""Prints an evaluation: a table of metrics, and remarks that a reader needs to understand them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from polytask.evaluation.evaluation_result import Estimate, EstimatesByTask, Evaluation

INTERVAL_METHODS = "95 %, over subjects; shares by Wilson, others see docs/evaluation.md"
"""How the intervals of the table are computed, in the words of the first remark."""


def make_metrics_table(
    evaluation: Evaluation, every: bool = False, some: EstimatesByTask | None = None, where: str = ""
) -> Table:
    """Make a table of task, metric, estimate, interval and n; the primary metric of each task comes first.

    Args:
        every: also show metrics of single classes, labels and structures (a dot in the name). Those end to end are
            always shown.
        some: show these metrics, of some of the subjects, instead of those of all.
        where: which subjects these are, for the title.
    """
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    metrics = evaluation.metrics if some is None else some
    where = f", {where}" if where else ""
    part = f"at {evaluation.external['cohort']}" if evaluation.external else evaluation.part.replace("_", " ")
    shown = Table(
        title=Text(f"{evaluation.run}, {part}{where}: {len(evaluation.subjects)} subjects"),
        box=SIMPLE,
        padding=(0, 1, 0, 0),
    )
    for column in ("task", "metric"):
        shown.add_column(column)
    for column in ("estimate", "95 % interval", "n"):
        shown.add_column(column, justify="right")
    for name, task in evaluation.tasks.items():
        first = str(task["primary"])
        plain = [
            m for m in metrics[name] if m != first and (every or "." not in m or m.endswith(".end_to_end"))
        ]
        for k, metric in enumerate([first, *plain]):
            shown.add_row(
                Text(name if k == 0 else ""),
                Text(name_metric_with_unit(metric, task), style="bold" if k == 0 else ""),
                *format_estimate_cells(metrics[name][metric]),
                end_section=k == len(plain),
            )
    if some is None:
        shown.add_row("all", Text("mean skill", style="bold"), *format_estimate_cells(evaluation.mean_skill))
    return shown


def make_strata_table(evaluation: Evaluation, column: str) -> Table:
    """Make a table of the primary metrics by stratum of a column, each with its difference from all other strata."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=Text(f"{evaluation.run}, by {column}"), box=SIMPLE, padding=(0, 1, 0, 0))
    for head in ("task", "metric", column):
        shown.add_column(Text(head))
    for head in ("estimate", "95 % interval", "n", "difference from the others", "95 % interval"):
        shown.add_column(head, justify="right")
    for name, task in evaluation.tasks.items():
        primary = str(task["primary"])
        for k, (stratum, result) in enumerate(evaluation.strata[column].items()):
            difference = result.differences[name]
            shown.add_row(
                *(Text(text if k == 0 else "") for text in (name, name_metric_with_unit(primary, task))),
                Text(stratum),
                *format_estimate_cells(result.metrics[name][primary]),
                *format_estimate_cells(difference)[:2],
                end_section=k == len(evaluation.strata[column]) - 1,
            )
    return shown


def name_metric_with_unit(metric: str, task: Mapping[str, Any]) -> str:
    """Name a metric; lengths and sizes that count pixels say so, because everybody expects mm and ml."""
    from polytask.kinds import find_answer_form

    base = metric.partition(".")[0]
    pixels = find_answer_form(task["kind"]) == "masks" and task["unit"] == "px"
    return f"{metric} (px)" if pixels and base in ("hd95", "volume", "volume_error") else metric


def format_estimate_cells(e: Estimate) -> tuple[str, str, str]:
    """Format the three cells of an estimate: its value, its interval, and n."""
    from math import isfinite

    if not isfinite(e.estimate):
        return "not defined", "", "0"
    # A value may be defined and still lack an interval, which needs more subjects.
    interval = (
        f"{format_metric_value(e.low)} to {format_metric_value(e.high)}" if isfinite(e.low) else "too few"
    )
    return format_metric_value(e.estimate), interval, str(e.n)


def format_metric_value(value: float) -> str:
    """Format with three decimals, or with one from 100 on."""
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"


def list_evaluation_remarks(evaluation: Evaluation) -> list[str]:
    """List the sentences that stand below the table: how intervals are made, what was left out and why."""
    from polytask.kinds.applicability import describe_condition

    texts = [f"Skill: chance 0, perfect 1. Intervals: {INTERVAL_METHODS}. Research use only."]
    for name in evaluation.tasks:
        if reason := evaluation.primary(name).reason:
            texts.append(f"{name}, {evaluation.tasks[name]['primary']}: no interval, {reason}")
    texts += [
        f"{name}: the metrics are given that {describe_condition(task['applies_when'])}; not applicable to "
        f"{evaluation.counts[name].get('not_applicable', 0)} cases, which count end to end"
        for name, task in evaluation.tasks.items()
        if task.get("applies_when")
    ]
    for name, count in evaluation.counts.items():
        if count["unanswered"]:
            texts.append(f"{name}: {count['unanswered']} cases with a known truth have no prediction")
        for key, what in (
            ("empty_truth", "empty truth"),
            ("empty_answer", "empty prediction"),
            ("missed", "missed (left out of HD95)"),
            ("only_predicted", "predicted where the truth is empty (left out of HD95)"),
        ):
            some = {s: n for s, n in count.get(key, {}).items() if n}
            if some:
                texts.append(f"{name}: {what} in " + ", ".join(f"{n} ({s})" for s, n in some.items()))
    for name, effect in evaluation.site_effects.items():
        texts += [
            f"{name}: site {site} (n {at_site['n']}) does not count: {at_site['why']}"
            for site, at_site in effect["sites"].items()
            if at_site["why"]
        ]
    texts += describe_hidden_inputs(evaluation)
    if evaluation.test_touched:
        times = "once" if evaluation.test_touched == 1 else f"{evaluation.test_touched} times"
        texts.append(f"The test part was evaluated {times} so far.")
    return [*texts, *evaluation.external.get("notes", ())]


def describe_hidden_inputs(evaluation: Evaluation) -> list[str]:
    """Write one sentence for each combination of hidden inputs: how good the answers are without them."""
    from math import isfinite

    texts = []
    for key, tasks in evaluation.hidden.items():
        parts = [
            f"{name} {evaluation.tasks[name]['primary']} {format_metric_value(e.estimate)} (n {e.n}; "
            f"with {'them' if ';' in key else 'it'} {format_metric_value(evaluation.primary(name).estimate)})"
            for name, e in tasks.items()
            if isfinite(e.estimate)
        ]
        # No answer at all without this input, although the task has answers with it.
        lost = [name for name, e in tasks.items() if not e.n and evaluation.primary(name).n]
        parts += [f"{name} cannot be predicted" for name in lost]
        texts.append(f"Without {key.replace(';', ' and ')}: {', '.join(parts) or 'not defined'}")
    if evaluation.needed:
        texts.append(f"Nothing can be predicted without {'; without '.join(evaluation.needed)}.")
    return texts
