"""Facts about a run in words, and the decisions of its plan with their reasons."""

from __future__ import annotations

from math import isfinite
from typing import NamedTuple

from polytask.plan.plan_schema import Plan
from polytask.plan.plan_summary import list_summary_rows
from polytask.report.report_material import ReportMaterial

PART_TITLES = {
    "held_out": "held-out part",
    "tune": "tune part",
    "test": "test part",
    "external": "cohort of another hospital",
}


class Fact(NamedTuple):
    """A fact: a name and its value."""

    name: str
    value: str


class PlanDecision(NamedTuple):
    """One value of the plan and the reason for it."""

    what: str
    value: str
    why: str


def list_run_facts(material: ReportMaterial) -> list[Fact]:
    """List the facts at the head of the page: which model was judged on which subjects."""
    evaluation = material.evaluation
    sites = [s for s in evaluation.sites if s]
    details = [
        Fact("model", evaluation.run),
        Fact("judged on", f"{PART_TITLES[evaluation.part]}: {len(evaluation.subjects)} subjects"),
        Fact("sites", ", ".join(sites) if sites else "not named"),
    ]
    if evaluation.external:
        details.insert(1, Fact("trained on", str(evaluation.external["trained_on"])))
        if evaluation.external["members"] > 1:
            details.append(
                Fact(
                    "members",
                    f"{evaluation.external['members']}, averaged; fold and seed are those of the first",
                )
            )
    else:
        details.append(Fact("test part", format_test_looks(evaluation.test_touched)))
    if evaluation.tta:
        details.append(Fact("predicted", "averaged over mirror images"))
    return details


def list_training_facts(material: ReportMaterial) -> list[Fact]:
    """List how the model was trained, and what that cost."""
    record, evaluation, spent = material.record, material.evaluation, material.costs
    return [
        Fact("fold, seed", f"{evaluation.fold}, {evaluation.seed}"),
        *_list_architecture_facts(material),
        Fact("parameters", f"{spent.parameters:,}".replace(",", " ")),
        *_list_step_facts(material),
        Fact("trained", format_timestamp(str(record.get("created", "")))),
        Fact("versions", f"polytask {record.get('polytask', '?')}, torch {record.get('torch', '?')}"),
    ]


def _list_step_facts(material: ReportMaterial) -> list[Fact]:
    """List the training steps; nothing for an exported model, which does not know them."""
    spent = material.costs
    words = (
        f"{spent.steps} × {format_step_time(spent.seconds_per_step)}, {format_training_time(spent.minutes)}"
    )
    return [Fact("steps", words)] if spent.steps else []


def _list_architecture_facts(material: ReportMaterial) -> list[Fact]:
    """List the parts of the architecture; parts that are not used are left out."""
    model, header = material.plan.shared.model, material.cohort.header
    facts = [Fact("preset", model.preset)] if model.preset else []
    form = f" ({model.form} form)" if model.form != "light" else ""
    facts.append(Fact("sharing", f"{material.evaluation.sharing}{form}"))
    if material.plan.shared.max_visits > 1:
        facts.append(Fact("over visits", model.visit_fusion))
    if len(header.inputs) > 1:
        facts.append(Fact("over inputs", model.input_fusion))
    if model.after:
        title = material.names.task
        chains = [
            f"{title(task)} after {' and '.join(map(title, others))}" for task, others in model.after.items()
        ]
        facts.append(Fact("chains", "; ".join(chains)))
    return facts


def format_timestamp(stamp: str) -> str:
    """Format an ISO time stamp in UTC as date and minute."""
    return f"{stamp[:16].replace('T', ' ')} UTC" if stamp else "unknown"


def format_test_looks(looks: int) -> str:
    """Write how often the test part was looked at."""
    return {0: "never touched", 1: "touched once"}.get(looks, f"touched {looks} times")


def format_step_time(value: float) -> str:
    """Format the time of a step in seconds or milliseconds."""
    if not isfinite(value):
        return "time unknown"
    return f"{value:.2f} s" if value >= 0.1 else f"{1000 * value:.0f} ms"


def format_training_time(value: float) -> str:
    """Format the time of a training in minutes or hours."""
    if not isfinite(value):
        return "time unknown"
    return f"{value / 60:.1f} h" if value >= 90 else f"{value:.1f} min"


def list_plan_decisions(plan: Plan) -> list[PlanDecision]:
    """List all values of the plan with their reasons."""
    return [PlanDecision(row.what, row.value, row.why) for row in list_summary_rows(plan)]
