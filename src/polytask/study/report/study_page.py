"""Puts the conclusions of a study into one HTML page that needs no other file."""

from __future__ import annotations

from jinja2 import DictLoader, Environment, StrictUndefined

from polytask.documents.text_reader import read_resource
from polytask.report.run_facts import format_timestamp
from polytask.report.run_page import RESEARCH_NOTICE
from polytask.statistics.cross_check import CROSS_CHECK_EXPLANATION
from polytask.statistics.delta_m import DELTA_M_FORMULA
from polytask.statistics.too_few import UNSEEN_FAILURE_NOTE
from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.report import (
    affinity_matrices,
    arm_curves,
    forest_plot,
    gain_scatter,
    lookahead_section,
    page_head,
    reproduction,
    site_tables,
    study_tables,
)

MAX_RUNS_LISTED_OPEN = 40
"""Largest number of runs that are listed openly; a longer list is folded."""


def render_study_page(conclusions: Conclusions) -> str:
    """Render the page as HTML text; the same conclusions give the same bytes."""
    study = conclusions.gathered.study
    affinity = affinity_matrices.use_task_titles(conclusions)
    looked = lookahead_section.use_lookahead_titles(conclusions)
    gains, left_out = gain_scatter.make_gain_picture(conclusions)
    delta_m, delta_m_left_out = study_tables.build_delta_m_table(conclusions)
    runs = [r.evaluated.evaluation for by in conclusions.gathered.folds.values() for r in by.values()]
    template = create_page_environment().get_template("page")
    return template.render(
        style=read_study_style(),
        notice=RESEARCH_NOTICE,
        cohort=page_head.name_cohort(conclusions),
        name=study.design.name,
        sentence=conclusions.sentence,
        about=page_head.describe_judged_arm(conclusions),
        notes=conclusions.notes,
        choice=page_head.explain_choice(conclusions),
        tuned=study_tables.build_tune_table(conclusions),
        facts=page_head.list_study_facts(conclusions),
        fixed=page_head.FIXED_FOR_ALL_ARMS,
        forest=forest_plot.make_forest_pictures(conclusions),
        forest_note=forest_plot.write_forest_note(conclusions),
        tasks=study_tables.build_task_sections(conclusions),
        delta_m=delta_m,
        delta_m_left_out=delta_m_left_out,
        formula=DELTA_M_FORMULA,
        gains=gains,
        gains_left_out=left_out,
        costs=study_tables.build_costs_table(conclusions),
        timed=study_tables.has_compute_timings(conclusions),
        matrices=affinity_matrices.make_affinity_picture(affinity) if affinity else None,
        grouping=affinity_matrices.describe_task_groups(affinity) if affinity else "",
        explained=affinity_matrices.COSINE_EXPLANATION,
        lookahead=lookahead_section.make_lookahead_picture(looked) if looked else None,
        groupings=lookahead_section.describe_groupings(looked) if looked else [],
        lookahead_explained=lookahead_section.LOOKAHEAD_EXPLANATION,
        curves=arm_curves.make_curves_picture(conclusions),
        sites=site_tables.build_arm_site_tables(conclusions),
        strata=site_tables.build_arm_strata_tables(conclusions),
        commands=study.design.commands,
        settings=reproduction.list_common_settings(conclusions),
        versions=reproduction.list_version_facts(conclusions),
        hashes=reproduction.list_hash_facts(conclusions),
        arms=reproduction.build_arms_table(conclusions),
        failures=reproduction.list_failed_runs(conclusions),
        runs=reproduction.build_runs_table(conclusions),
        runs_open=len(study.runs) <= MAX_RUNS_LISTED_OPEN,
        snippets=reproduction.list_reading_snippets(),
        resamples=conclusions.gathered.resamples,
        unseen=UNSEEN_FAILURE_NOTE,
        asks=CROSS_CHECK_EXPLANATION,
        # The newest evaluation instead of the present time, so that the same conclusions give the same page.
        created=format_timestamp(max((e.created for e in runs), default="")),
    )


def create_page_environment() -> Environment:
    """Create the template environment: the study's page, and the macros at the top of the run report's template."""
    run_template = read_resource("polytask.report", "page.html.j2")
    study_template = read_resource("polytask.study.report", "page.html.j2")
    sources = {"macros": run_template.partition("<!doctype html>")[0], "page": study_template}
    return Environment(
        loader=DictLoader(sources),
        # Names of cohorts, tasks and classes come from files; nothing of them may become HTML.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def read_study_style() -> str:
    """Read the CSS of a run's report plus the additions of the study page; it is inserted without escaping."""
    folders = ("polytask.report", "polytask.study.report")
    return "".join(read_resource(folder, "style.css") for folder in folders)
