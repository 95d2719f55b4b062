"""Lists what was run, in which state it is, and how to repeat it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from polytask.report.metric_tables import DASH, ReportTable, TableCell
from polytask.report.run_facts import Fact, format_timestamp
from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.report.effect_text import format_training_duration
from polytask.study.study_folder import RESULTS_FILE

SHOWN_HASH_LENGTH = 16
"""Number of characters of a hash that are shown."""
VERSION_KEYS = ("polytask", "torch", "numpy", "python", "machine")


def list_run_records(conclusions: Conclusions) -> list[Any]:
    """List the content of `run.yaml` of every finished run."""
    return [r.evaluated.run.record for by in conclusions.gathered.folds.values() for r in by.values()]


def join_distinct_values(values: Iterable[object]) -> str:
    """Join the distinct values; normally there is exactly one."""
    return ", ".join(dict.fromkeys(str(v) for v in values if v not in (None, ""))) or "not recorded"


def list_version_facts(conclusions: Conclusions) -> list[Fact]:
    """List the versions and the machine of all runs, not only of the command that started the study."""
    records = list_run_records(conclusions)
    design = conclusions.gathered.study.design
    facts = [Fact(name, join_distinct_values(r.get(name) for r in records)) for name in VERSION_KEYS]
    # ISO time stamps in UTC sort like text.
    created = sorted(str(r["created"]) for r in records if r.get("created"))
    span = DASH if not created else format_timestamp(created[0])
    if len(created) > 1 and format_timestamp(created[-1]) != span:
        span += f" to {format_timestamp(created[-1])}"
    return [
        *facts,
        Fact("device", design.device),
        Fact("precision", design.precision),
        Fact("threads per run", str(design.threads)),
        Fact("runs started", span),
    ]


def list_hash_facts(conclusions: Conclusions) -> list[Fact]:
    """List the hashes of what all runs have in common; a study is not continued when one of them changes."""
    rests = conclusions.gathered.study.design.rests
    plans = {fold: text[:SHOWN_HASH_LENGTH] for fold, text in sorted(rests.plan.items())}
    plan = (
        join_distinct_values(plans.values())
        if len(set(plans.values())) == 1
        else ", ".join(f"fold {f}: {h}" for f, h in plans.items())
    )
    return [
        Fact("cohort (header and table)", rests.cohort[:SHOWN_HASH_LENGTH]),
        Fact("splits", rests.splits[:SHOWN_HASH_LENGTH]),
        Fact("prepared store", rests.store[:SHOWN_HASH_LENGTH]),
        Fact("plan", plan),
    ]


def list_common_settings(conclusions: Conclusions) -> list[Fact]:
    """List the settings that are the same for every arm."""
    design = conclusions.gathered.study.design
    facts = [
        Fact("steps of every network", f"{design.steps} ({design.how})"),
        Fact("evaluated on tune every", f"{design.tune_every} epochs" if design.tune_every > 1 else "epoch"),
        Fact("resamples of a comparison", str(conclusions.gathered.resamples)),
    ]
    if design.cut:
        facts.append(Fact("cut", design.cut))
    if design.tasks is not None:
        facts.append(Fact("tasks", ", ".join(design.tasks)))
    if design.overrides:
        facts.append(Fact("changed in the plan", ", ".join(design.overrides)))
    return facts


def build_arms_table(conclusions: Conclusions) -> ReportTable:
    """Build the table of the arms and the states of their runs."""
    study = conclusions.gathered.study
    rows = []
    for arm in study.arms:
        states = [r.state for r in study.of_arm(arm.name)]
        counts = [TableCell(str(states.count(s)) or DASH) for s in ("done", "failed", "missing")]
        rule = TableCell(DASH if arm.baseline else arm.balance)
        preset, values = TableCell(arm.preset or DASH), TableCell(", ".join(arm.values) or DASH)
        rows.append((arm.name, [TableCell(arm.block), rule, preset, values, *counts]))
    # Most studies have no arm with values of its own, and then no column for them.
    head, own = ["arm", "sharing", "balance", "preset", "own values"], any(arm.values for arm in study.arms)
    if not own:
        head, rows = head[:-1], [(name, [*cells[:3], *cells[4:]]) for name, cells in rows]
    return ReportTable("", [*head, "done", "failed", "missing"], rows)


def list_failed_runs(conclusions: Conclusions) -> list[tuple[str, str]]:
    """List the runs that failed, each with the first line of its error."""
    return [(r.name, r.error) for r in conclusions.gathered.study.runs if r.state == "failed"]


def build_runs_table(conclusions: Conclusions) -> ReportTable:
    """Build the table of all runs of the matrix."""
    rows = []
    for r in conclusions.gathered.study.runs:
        seconds = (r.record.get("costs") or {}).get("training_seconds") if r.state == "done" else None
        duration = format_training_duration(float(seconds)) if seconds is not None else DASH
        rows.append(
            (
                r.name,
                [
                    TableCell(r.arm.name),
                    TableCell(str(r.fold)),
                    TableCell(str(r.seed)),
                    TableCell(r.state),
                    TableCell(duration),
                ],
            )
        )
    return ReportTable("", ["run", "arm", "fold", "seed", "state", "training"], rows)


def list_reading_snippets() -> list[tuple[str, str]]:
    """List commands that read the results with other tools, from the folder of the study."""
    return [
        (
            "duckdb",
            f"duckdb -c \"select arm, task, avg(value) from '{RESULTS_FILE}' where kind = 'metric' and name = 'skill' "
            'group by all order by task, arm"',
        ),
        (
            "pandas",
            f"pandas.read_parquet('{RESULTS_FILE}').query(\"kind == 'metric' and name == 'skill'\")"
            ".groupby(['task', 'arm']).value.mean()",
        ),
    ]
