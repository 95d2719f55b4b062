"""Puts pictures and tables into one HTML page that needs no other file."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, StrictUndefined

from polytask.documents.text import read_resource
from polytask.kinds import answer_form
from polytask.report import against, curves, overlays, sources, survival, tables
from polytask.report.beside import tables_beside
from polytask.report.characteristics import characteristics
from polytask.report.facts import PARTS, decisions, facts, made, when
from polytask.report.flow import flow
from polytask.report.hidden import needed_inputs, without_inputs
from polytask.report.kinds import PICTURES
from polytask.report.material import Material
from polytask.report.patients import patients

NOTICE = "Research use only — not a medical device"


def page(material: Material) -> str:
    """Render the report of a run as HTML text."""
    found = material.evaluation
    tasks = [
        {
            "name": material.names.task(name),
            "kind": task["kind"],
            "level": task["level"],
            "unit": task["unit"],
            "known": tables.known(found.counts[name], name, material.names),
            "tables": [
                *tables.details(material, name),
                *more_tables(material, name),
                *tables_beside(found, name),
            ],
            "keys": overlays.keys(material, name) if answer_form(task["kind"]) == "masks" else [],
            "pictures": PICTURES[answer_form(task["kind"])](material, name),
        }
        for name, task in found.tasks.items()
    ]
    table_one, table_one_note = characteristics(material)
    return render(
        cohort=found.external.get("cohort", material.cohort.header.name),
        title=found.run,
        notice=NOTICE,
        verdicts=found.verdicts,
        part=PARTS[found.part],
        external=found.external.get("notes", ()),
        facts=facts(material),
        made=made(material),
        overview=tables.overview(material),
        flow=flow(material),
        table_one=table_one,
        table_one_note=table_one_note,
        patients=patients(material),
        skills=tables.skills(material),
        forest=curves.forest(material),
        curves=curves.pictures(material),
        unsaid=curves.unsaid(material),
        comparisons=[
            (against.comparison(c, material.names), against.prices(c), c.only, against.unequal(c))
            for c in material.comparisons
        ],
        one_training=against.ONE_TRAINING,
        sites=tables.sites(material),
        hidden=without_inputs(found),
        needed=needed_inputs(found),
        sources=sources.weights(material),
        tasks=tasks,
        decisions=decisions(material.plan),
        resamples=found.resamples,
        created=when(found.created),
    )


def more_tables(material: Material, name: str) -> list[tables.Table]:
    """Build the tables that only some kinds of tasks have."""
    found = survival.shares(material, name) if answer_form(material.tasks[name].kind) == "time" else None
    return [found] if found else []


def render(**values: Any) -> str:
    """Fill the template of the page; every value is escaped, and a missing value is an error."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(read_resource("polytask.report", "page.html.j2"))
    style = read_resource("polytask.report", "style.css")
    # The style is our own file and is inserted without escaping; all other values may come from users' files.
    return template.render(style=style, **values)
