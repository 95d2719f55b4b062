"""Puts pictures and tables into one HTML page that needs no other file."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, StrictUndefined

from polytask.documents.text_reader import read_resource
from polytask.kinds import find_answer_form
from polytask.report import (
    comparison_tables,
    input_weights,
    metric_tables,
    overlay_plots,
    training_plots,
)
from polytask.report.characteristics import build_table_one
from polytask.report.end_to_end_table import build_end_to_end_tables
from polytask.report.hidden_input_table import build_hidden_inputs_table, describe_needed_inputs
from polytask.report.pictures_by_form import PICTURES_BY_ANSWER_FORM, build_extra_tables
from polytask.report.predictive_value_tables import build_predictive_value_tables
from polytask.report.reference_tables import build_reference_tables
from polytask.report.report_material import ReportMaterial
from polytask.report.run_facts import (
    PART_TITLES,
    format_timestamp,
    list_plan_decisions,
    list_run_facts,
    list_training_facts,
)
from polytask.report.shown_patients import select_patients
from polytask.report.strata_sections import build_strata_sections
from polytask.report.subgroup_section import build_subgroup_section
from polytask.report.subject_flow import build_subject_flow
from polytask.report.trust_section import build_trust_sections, explain_missing_trust

RESEARCH_NOTICE = "Research use only — not a medical device"


def render_run_page(material: ReportMaterial) -> str:
    """Render the report of a run as HTML text."""
    evaluation = material.evaluation
    tasks = [
        {
            "name": material.names.task(name),
            "kind": task["kind"],
            "level": task["level"],
            "unit": task["unit"],
            "known": metric_tables.describe_known_counts(evaluation.counts[name], name, material.names),
            "tables": [
                *metric_tables.build_detail_tables(material, name),
                *build_end_to_end_tables(material, name),
                *build_extra_tables(material, name),
                *build_reference_tables(evaluation, name),
                *build_predictive_value_tables(material, name),
            ],
            "keys": overlay_plots.list_overlay_legend(material, name)
            if find_answer_form(task["kind"]) == "masks"
            else [],
            "pictures": PICTURES_BY_ANSWER_FORM[find_answer_form(task["kind"])](material, name),
        }
        for name, task in evaluation.tasks.items()
    ]
    table_one, table_one_note = build_table_one(material)
    return fill_page_template(
        cohort=evaluation.external.get("cohort", material.cohort.header.name),
        title=evaluation.run,
        notice=RESEARCH_NOTICE,
        verdicts=evaluation.verdicts,
        part=PART_TITLES[evaluation.part],
        external=evaluation.external.get("notes", ()),
        facts=list_run_facts(material),
        made=list_training_facts(material),
        overview=metric_tables.build_overview_table(material),
        flow=build_subject_flow(material),
        table_one=table_one,
        table_one_note=table_one_note,
        patients=select_patients(material),
        skills=metric_tables.build_skills_table(material),
        forest=training_plots.make_skill_forest(material),
        curves=training_plots.make_training_pictures(material),
        unsaid=training_plots.explain_missing_curves(material),
        comparisons=[
            (
                comparison_tables.build_comparison_table(c, material.names),
                comparison_tables.build_cost_comparison(c),
                c.only,
                comparison_tables.warn_unequal_training(c),
            )
            for c in material.comparisons
        ],
        one_training=comparison_tables.ONE_TRAINING_WARNING,
        sites=metric_tables.build_sites_table(material),
        strata=build_strata_sections(material),
        trust=build_trust_sections(material),
        untrusted=explain_missing_trust(material),
        groups=build_subgroup_section(material),
        hidden=build_hidden_inputs_table(evaluation),
        needed=describe_needed_inputs(evaluation),
        sources=input_weights.build_input_weight_table(material),
        tasks=tasks,
        decisions=list_plan_decisions(material.plan),
        resamples=evaluation.resamples,
        created=format_timestamp(evaluation.created),
    )


def fill_page_template(**values: Any) -> str:
    """Fill the template of the page; every value is escaped, and a missing value is an error."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(read_resource("polytask.report", "page.html.j2"))
    style = read_resource("polytask.report", "style.css")
    # The style is our own file and is inserted without escaping; all other values may come from users' files.
    return template.render(style=style, **values)
