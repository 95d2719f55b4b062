"""Sections of the page about strata: for each column the primary metrics side by side, then all metrics and curves."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from polytask.evaluation.decision_curves import compute_decision_curves
from polytask.evaluation.evaluation_result import StratumResult
from polytask.evaluation.risk_group_survival import compare_risk_groups, select_known_survival
from polytask.kinds import find_answer_form
from polytask.report.drawing import Picture
from polytask.report.metric_tables import (
    ReportTable,
    build_detail_tables,
    build_estimate_cell,
    format_metric_title,
)
from polytask.report.pictures_by_form import PICTURES_BY_ANSWER_FORM, build_extra_tables
from polytask.report.report_material import ReportMaterial


class StratumDetails(NamedTuple):
    """Everything about one task in one stratum: title, all metrics, curves."""

    title: str
    tables: list[ReportTable]
    pictures: list[Picture]


class StrataSection(NamedTuple):
    """One column under `strata`: its name, its tables and the details of each task and stratum."""

    column: str
    tables: list[ReportTable]
    details: list[StratumDetails]
    note: str


def build_strata_sections(material: ReportMaterial) -> list[StrataSection]:
    """Build a section for each column under `strata` of which at least one stratum occurs."""
    return [
        _build_section(material, column, strata)
        for column, strata in material.evaluation.strata.items()
        if strata
    ]


def _build_section(material: ReportMaterial, column: str, strata: dict[str, StratumResult]) -> StrataSection:
    by_subject = material.answers.strata.get(column, {})
    tables = [_build_metrics_table(material, by_subject, strata)]
    if len(strata) > 1:
        tables.append(_build_differences_table(material, strata))
    details = []
    for stratum in strata:
        restricted = restrict_to_stratum(material, column, stratum)
        details += [_build_details(restricted, name, f"{column} {stratum}") for name in material.tasks]
    return StrataSection(column, tables, details, _write_note(by_subject, strata, len(material.tasks)))


def _build_metrics_table(
    material: ReportMaterial, by_subject: dict[str, str], strata: dict[str, StratumResult]
) -> ReportTable:
    rows = []
    for name, task in material.evaluation.tasks.items():
        primary, cells = str(task["primary"]), []
        for stratum, result in strata.items():
            members = {s for s, own in by_subject.items() if own == stratum}
            why = material.why(name, primary, members)
            cells.append(build_estimate_cell(result.metrics[name][primary], why=why))
        rows.append((f"{material.names.task(name)}: {format_metric_title(primary, task)}", cells))
    heads = [f"{stratum} ({result.subjects} subjects)" for stratum, result in strata.items()]
    return ReportTable("", ["task", *heads], rows)


def _build_differences_table(material: ReportMaterial, strata: dict[str, StratumResult]) -> ReportTable:
    """Build the table of differences. Of two strata one column is enough: the other has the opposite sign."""
    shown = list(strata)[:1] if len(strata) == 2 else list(strata)
    heads = (
        [f"{a} − {b}" for a, b in [tuple(strata)]]
        if len(strata) == 2
        else [f"{s} − all others" for s in shown]
    )
    rows = []
    for name, task in material.evaluation.tasks.items():
        cells = [
            build_estimate_cell(
                strata[stratum].differences[name], difference=True, why="not defined in one of the two"
            )
            for stratum in shown
        ]
        title = f"{material.names.task(name)}: {format_metric_title(str(task['primary']), task)}"
        rows.append((title, cells))
    return ReportTable("differences", ["task", *heads], rows)


def _build_details(restricted: ReportMaterial, name: str, where: str) -> StratumDetails:
    form = find_answer_form(restricted.tasks[name].kind)
    # Pictures of masks and doses show single cases, which belong to the section of their task.
    pictures = [] if name in restricted.answers.voxel else PICTURES_BY_ANSWER_FORM[form](restricted, name)
    title = f"{restricted.names.task(name)}, {where} ({len(restricted.answers.sites)} subjects)"
    tables = [*build_detail_tables(restricted, name), *build_extra_tables(restricted, name)]
    return StratumDetails(title, tables, pictures)


def restrict_to_stratum(material: ReportMaterial, column: str, stratum: str) -> ReportMaterial:
    """Return the material with the answers and results of one stratum only; its curves are computed again."""
    members = [s for s, own in material.answers.strata[column].items() if own == stratum]
    answers, tasks = material.answers.restrict_to_subjects(members), material.tasks
    groups = {
        name: compare_risk_groups(*select_known_survival(answers.pooled[name]), compared["cutoffs"]).as_dict()
        for name, compared in material.evaluation.groups.items()
        if answers.pooled[name].known.any()
    }
    evaluation = replace(
        material.evaluation,
        subjects=tuple(members),
        metrics=material.evaluation.strata[column][stratum].metrics,
        decision_curves=compute_decision_curves(tasks, answers),
        groups=groups,
    )
    return replace(material, answers=answers, evaluation=evaluation)


def _write_note(by_subject: dict[str, str], strata: dict[str, StratumResult], tasks: int) -> str:
    """Say what the differences mean, how many there are, and who is left out."""
    texts = []
    if len(strata) > 1:
        count = tasks * (1 if len(strata) == 2 else len(strata))
        texts.append(
            "A difference is between other subjects and not paired; bold: its 95 % interval excludes 0. Of "
            f"{count} such intervals about {max(1, round(count / 20))} would exclude 0 by chance alone; they are not "
            "corrected for that."
            if count >= 20
            else "A difference is between other subjects and not paired; bold: its 95 % interval excludes 0, not "
            f"corrected for the {count} comparisons."
        )
        texts.append(
            "Strata also differ in case mix: a difference alone does not say that the model is the cause."
        )
    if unknown := sum(not own for own in by_subject.values()):
        texts.append(f"Left out because the column is empty: {unknown} subjects.")
    return " ".join(texts)
