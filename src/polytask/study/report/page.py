"""Puts the conclusions of a study into one HTML page that needs no other file."""

from __future__ import annotations

from jinja2 import DictLoader, Environment, StrictUndefined

from polytask.documents.text import read_resource
from polytask.report.facts import when
from polytask.report.page import NOTICE
from polytask.statistics.check import ASKS
from polytask.statistics.delta_m import FORMULA
from polytask.statistics.too_few import UNSEEN
from polytask.study.conclusions.make import Conclusions
from polytask.study.report import curves, forest, head, matrices, repeat, scatter, sites, tables

OPEN = 40
"""Largest number of runs that are listed openly; a longer list is folded."""


def page(found: Conclusions) -> str:
    """Render the page as HTML text; the same conclusions give the same bytes."""
    study = found.gathered.study
    affinity = matrices.with_titles(found)
    gains, left_out = scatter.picture(found)
    delta_m, delta_m_left_out = tables.delta_m(found)
    runs = [r.evaluated.evaluation for by in found.gathered.folds.values() for r in by.values()]
    template = environment().get_template("page")
    return template.render(
        style=style(),
        notice=NOTICE,
        cohort=head.cohort(found),
        name=study.design.name,
        sentence=found.sentence,
        about=head.about(found),
        notes=found.notes,
        choice=head.explain_choice(found),
        tuned=tables.tuned(found),
        facts=head.facts(found),
        fixed=head.FIXED,
        forest=forest.pictures(found),
        forest_note=forest.note(found),
        tasks=tables.tasks(found),
        delta_m=delta_m,
        delta_m_left_out=delta_m_left_out,
        formula=FORMULA,
        gains=gains,
        gains_left_out=left_out,
        costs=tables.costs(found),
        timed=tables.timed(found),
        matrices=matrices.picture(affinity) if affinity else None,
        grouping=matrices.grouping(affinity) if affinity else "",
        explained=matrices.EXPLAINED,
        curves=curves.picture(found),
        sites=sites.tables(found),
        commands=study.design.commands,
        settings=repeat.settings(found),
        versions=repeat.versions(found),
        hashes=repeat.hashes(found),
        arms=repeat.arms(found),
        failures=repeat.failures(found),
        runs=repeat.runs(found),
        runs_open=len(study.runs) <= OPEN,
        snippets=repeat.snippets(),
        resamples=found.gathered.resamples,
        unseen=UNSEEN,
        asks=ASKS,
        # The newest evaluation instead of the present time, so that the same conclusions give the same page.
        created=when(max((e.created for e in runs), default="")),
    )


def environment() -> Environment:
    """Create the template environment: the study's page, and the macros at the top of the run report's template."""
    theirs = read_resource("polytask.report", "page.html.j2")
    mine = read_resource("polytask.study.report", "page.html.j2")
    sources = {"macros": theirs.partition("<!doctype html>")[0], "page": mine}
    return Environment(
        loader=DictLoader(sources),
        # Names of cohorts, tasks and classes come from files; nothing of them may become HTML.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def style() -> str:
    """Read the CSS of a run's report plus the additions of the study page; it is inserted without escaping."""
    folders = ("polytask.report", "polytask.study.report")
    return "".join(read_resource(folder, "style.css") for folder in folders)
