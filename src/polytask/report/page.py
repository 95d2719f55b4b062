"""The page: pictures and tables into one HTML file that needs nothing else."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from polytask.report import against, curves, sources, tables
from polytask.report.beside import tables_beside
from polytask.report.facts import PARTS, decisions, facts, when
from polytask.report.kinds import PICTURES
from polytask.report.material import Material

NOTICE = "Research use only — not a medical device"


def page(material: Material) -> str:
    """The HTML."""
    found = material.evaluation
    tasks = [
        {
            "name": name,
            "kind": task["kind"],
            "level": task["level"],
            "unit": task["unit"],
            "known": tables.known(found.counts[name]),
            "tables": [*tables.details(found, name), *tables_beside(found, name)],
            "pictures": PICTURES[task["kind"]](material, name),
        }
        for name, task in found.tasks.items()
    ]
    return render(
        title=f"{found.run} at {found.external['cohort']}" if found.external else found.run,
        notice=NOTICE,
        part=PARTS[found.part],
        external=found.external.get("notes", ()),
        facts=facts(material),
        overview=tables.overview(found),
        curves=curves.pictures(material),
        comparisons=[
            (against.comparison(c), against.prices(c), c.only, against.unequal(c))
            for c in material.comparisons
        ],
        sites=tables.sites(found),
        sources=sources.weights(material),
        tasks=tasks,
        decisions=decisions(material.plan),
        resamples=found.resamples,
        created=when(found.created),
    )


def render(**values: Any) -> str:
    """Fill the template; every value is escaped, an unknown name is an error."""
    folder = files("polytask.report")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((folder / "page.html.j2").read_text(encoding="utf-8"))
    style = (folder / "style.css").read_text(encoding="utf-8")
    return template.render(style=style, **values)
