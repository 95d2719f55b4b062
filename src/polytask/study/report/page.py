"""A study's conclusions into one HTML page that needs nothing else."""

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
"""So many runs are listed openly; more of them fold away."""


def page(found: Conclusions) -> str:
    """The HTML: the same conclusions give the same bytes."""
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
        created=when(max((e.created for e in runs), default="")),
    )


def environment() -> Environment:
    """The page's template, and the macros of a run's report, which stand before its page begins."""
    theirs = read_resource("polytask.report", "page.html.j2")
    mine = read_resource("polytask.study.report", "page.html.j2")
    sources = {"macros": theirs.partition("<!doctype html>")[0], "page": mine}
    return Environment(
        loader=DictLoader(sources),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def style() -> str:
    """That of a run's report, and what a study's page has beyond it; the template does not escape its quotes."""
    folders = ("polytask.report", "polytask.study.report")
    return "".join(read_resource(folder, "style.css") for folder in folders)
