"""Lists what was run, in which state it is, and how to repeat it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from polytask.report.facts import Fact, when
from polytask.report.tables import DASH, Cell, Table
from polytask.study.conclusions.make import Conclusions
from polytask.study.folder import RESULTS
from polytask.study.report.amounts import duration

HASH = 16
"""Number of characters of a hash that are shown."""
RECORDED = ("polytask", "torch", "numpy", "python", "machine")


def records(found: Conclusions) -> list[Any]:
    """List the content of `run.yaml` of every finished run."""
    return [r.evaluated.run.record for by in found.gathered.folds.values() for r in by.values()]


def distinct(values: Iterable[object]) -> str:
    """Join the distinct values; normally there is exactly one."""
    return ", ".join(dict.fromkeys(str(v) for v in values if v not in (None, ""))) or "not recorded"


def versions(found: Conclusions) -> list[Fact]:
    """List the versions and the machine of all runs, not only of the command that started the study."""
    noted = records(found)
    design = found.gathered.study.design
    facts = [Fact(name, distinct(r.get(name) for r in noted)) for name in RECORDED]
    # ISO time stamps in UTC sort like text.
    created = sorted(str(r["created"]) for r in noted if r.get("created"))
    span = DASH if not created else when(created[0])
    if len(created) > 1 and when(created[-1]) != span:
        span += f" to {when(created[-1])}"
    return [
        *facts,
        Fact("device", design.device),
        Fact("precision", design.precision),
        Fact("threads a run", str(design.threads)),
        Fact("runs begun", span),
    ]


def hashes(found: Conclusions) -> list[Fact]:
    """List the hashes of what all runs have in common; a study is not continued when one of them changes."""
    rests = found.gathered.study.design.rests
    plans = {fold: text[:HASH] for fold, text in sorted(rests.plan.items())}
    plan = (
        distinct(plans.values())
        if len(set(plans.values())) == 1
        else ", ".join(f"fold {f}: {h}" for f, h in plans.items())
    )
    return [
        Fact("cohort (header and table)", rests.cohort[:HASH]),
        Fact("splits", rests.splits[:HASH]),
        Fact("prepared store", rests.store[:HASH]),
        Fact("plan", plan),
    ]


def settings(found: Conclusions) -> list[Fact]:
    """List the settings that are the same for every arm."""
    design = found.gathered.study.design
    facts = [
        Fact("steps of every network", f"{design.steps} ({design.how})"),
        Fact("tune looked at every", f"{design.tune_every} epochs" if design.tune_every > 1 else "epoch"),
        Fact("resamples of a comparison", str(found.gathered.resamples)),
    ]
    if design.cut:
        facts.append(Fact("cut", design.cut))
    if design.tasks is not None:
        facts.append(Fact("tasks", ", ".join(design.tasks)))
    if design.overrides:
        facts.append(Fact("changed in the plan", ", ".join(design.overrides)))
    return facts


def arms(found: Conclusions) -> Table:
    """Build the table of the arms and the states of their runs."""
    study = found.gathered.study
    rows = []
    for arm in study.arms:
        states = [r.state for r in study.of_arm(arm.name)]
        counts = [Cell(str(states.count(s)) or DASH) for s in ("done", "failed", "missing")]
        rule = Cell(DASH if arm.baseline else arm.balance)
        rows.append((arm.name, [Cell(arm.sharing), rule, Cell(arm.preset or DASH), *counts]))
    return Table("", ["arm", "sharing", "balance", "preset", "done", "failed", "missing"], rows)


def failures(found: Conclusions) -> list[tuple[str, str]]:
    """List the runs that failed, each with the first line of its error."""
    return [(r.name, r.error) for r in found.gathered.study.runs if r.state == "failed"]


def runs(found: Conclusions) -> Table:
    """Build the table of all runs of the matrix."""
    rows = []
    for r in found.gathered.study.runs:
        spent = (r.record.get("costs") or {}).get("training_seconds") if r.state == "done" else None
        took = duration(float(spent)) if spent is not None else DASH
        rows.append(
            (r.name, [Cell(r.arm.name), Cell(str(r.fold)), Cell(str(r.seed)), Cell(r.state), Cell(took)])
        )
    return Table("", ["run", "arm", "fold", "seed", "state", "training"], rows)


def snippets() -> list[tuple[str, str]]:
    """List commands that read the results with other tools, from the folder of the study."""
    return [
        (
            "duckdb",
            f"duckdb -c \"select arm, task, avg(value) from '{RESULTS}' where kind = 'metric' and name = 'skill' "
            'group by all order by task, arm"',
        ),
        (
            "pandas",
            f"pandas.read_parquet('{RESULTS}').query(\"kind == 'metric' and name == 'skill'\")"
            ".groupby(['task', 'arm']).value.mean()",
        ),
    ]
