"""The README of an exported model: what it is, what it reads, how good it was, how to run it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polytask.kinds.applicability import NOT_APPLICABLE, describe_condition
from polytask.predict.decision_columns import describe_decisions
from polytask.training.decisions import Decisions


def make_model_card(model: Mapping[str, Any]) -> str:
    """Write the README of a model in Markdown.

    Args:
        model: the content of `model.json`.
    """
    members = model["members"]
    lines = [
        f"# {model['name']}: a Polytask model",
        "",
        f"**{model['notice']}**",
        "",
        f"{len(members)} member{'s' if len(members) > 1 else ''}: "
        + "; ".join(f"{m['run']['name']} (sharing {m['run']['sharing']}, fold {m['fold']})" for m in members),
        "",
        "## Reads",
        "",
        *(_format_input_line(n, i) for n, i in model["header"]["inputs"].items()),
        "",
        "## Answers",
        "",
        *(_format_task_line(n, t) for n, t in members[0]["tasks"].items()),
        "",
        "## Run it",
        "",
        "    polytask predict THIS_FOLDER NEW_CASES -o OUT",
        "",
        "NEW_CASES is a folder with `cohort.yaml`, a table with the columns above, or a plain folder of images named "
        "`CASE_0000.nii.gz`.",
        "",
    ]
    for member in members:
        lines += _format_decision_lines(member)
        if member["evaluation"]:
            lines += _format_metric_lines(member)
            lines += _format_hidden_lines(member)
    return "\n".join(lines) + "\n"


MAX_CARD_COLUMNS = 40
"""Table columns that are named one by one; the others are counted."""


def _format_input_line(name: str, spec: Mapping[str, Any]) -> str:
    if spec["kind"] == "image":
        channels = ", ".join(f"`{name}.{c}` ({m})" for c, m in spec["channels"].items())
        return f"- image `{name}`, {spec['dims']}D: {channels}"
    if spec["kind"] == "slide":
        return f"- slide `{name}`: a whole-slide file or a bag of features"
    columns = [f"`{c}` ({s['type']})" for c, s in spec["columns"].items()]
    more = (
        f" and {len(columns) - MAX_CARD_COLUMNS} more columns of `cohort.yaml`"
        if len(columns) > MAX_CARD_COLUMNS
        else ""
    )
    return f"- table `{name}`: " + ", ".join(columns[:MAX_CARD_COLUMNS]) + more


def _format_task_line(name: str, fields: Mapping[str, Any]) -> str:
    condition = describe_condition(fields.get("applies_when", {}))
    given = f"; {NOT_APPLICABLE} unless {condition}, its probabilities are given that" if condition else ""
    return f"- `{name}`: {fields['kind']}, one per {fields['level']}{given}"


def _format_decision_lines(member: Mapping[str, Any]) -> list[str]:
    """List the risk groups, operating points and simple models that the member carries."""
    decisions = describe_decisions(Decisions.from_dict(member["decisions"])) if "decisions" in member else []
    simple = [f"{b['task']}: {b['method']} on {b['name']} (n {b['n']})" for b in member.get("baselines", [])]
    lines = (
        [f"## Decisions of {member['run']['name']}", "", *(f"- {s}" for s in decisions), ""]
        if decisions
        else []
    )
    if simple:
        lines += [
            f"## Simple models compared with {member['run']['name']}",
            "",
            *(f"- {s}" for s in simple),
            "",
        ]
    return lines


def _format_metric_lines(member: Mapping[str, Any]) -> list[str]:
    """Write the held-out metrics with intervals as a table."""
    lines = [
        f"## Held-out metrics of {member['run']['name']}",
        "",
        "| task | metric | value | 95 % interval | n |",
    ]
    lines.append("|---|---|---|---|---|")
    for task, metrics in member["evaluation"].items():
        for name, m in metrics.items():
            if isinstance(m, Mapping) and m.get("estimate") is not None:
                low, high = (f"{m[k]:.3f}" if m.get(k) is not None else "–" for k in ("low", "high"))
                lines.append(f"| {task} | {name} | {m['estimate']:.3f} | {low} – {high} | {m['n']} |")
    return [*lines, ""]


def _format_hidden_lines(member: Mapping[str, Any]) -> list[str]:
    """Write the primary metrics without some of the inputs as a table."""
    rows = [
        f"| {key.replace(';', ', ')} | {task} | {m['estimate']:.3f} | {m['n']} |"
        for key, tasks in (member.get("hidden") or {}).items()
        for task, m in tasks.items()
        if m["estimate"] is not None
    ]
    if not rows:
        return []
    head = ["Without an input, the primary metric of each task that reads it:", ""]
    return [*head, "| without | task | value | n |", "|---|---|---|---|", *rows, ""]
