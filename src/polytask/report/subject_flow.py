"""The flow of subjects from the cohort table to the parts of the run's fold, and the known answers of each task there.

Only the number of test subjects is shown: neither their inputs nor their answers are opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from polytask.cohort.cell_values import (
    column_value,
    does_task_apply,
    image_paths,
    pooled_value,
    slide_path,
    voxel_source,
)
from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.header import Task, VoxelSpec
from polytask.kinds import find_answer_form, find_voxel_kind
from polytask.kinds.applicability import NOT_APPLICABLE
from polytask.kinds.class_words import list_answers as words_of
from polytask.report.metric_tables import ReportTable, TableCell
from polytask.report.report_material import ReportMaterial

FOLD_PART_TITLES = {"train": "Train", "tune": "Tune", "held_out": "Held out"}
FOLD_PART_PURPOSES = {
    "train": "the model learns from them",
    "tune": "choose when to stop",
    "held_out": "the results of this page",
}


@dataclass(frozen=True)
class FlowBox:
    """One box of the flow diagram.

    Args:
        title: name of the group. lines: how many subjects, visits and images it has. note: what it is used for.
    """

    title: str
    lines: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class SubjectFlow:
    """The flow diagram: boxes for all subjects, for those set aside and for the parts; and a table of known answers."""

    whole: FlowBox
    aside: tuple[FlowBox, ...]
    parts: tuple[FlowBox, ...]
    known: ReportTable


def build_subject_flow(material: ReportMaterial) -> SubjectFlow | None:
    """Build the flow of subjects of a run's fold; None where its parts are not known."""
    cohort = material.cohort
    parts = {k: [s for s in v if s in cohort.subjects] for k, v in material.parts.items()}
    if not any(parts.values()):
        return None
    test = cohort.list_split_subjects("test")
    used = {s for subjects in parts.values() for s in subjects}
    # Subjects may lie in no part, for example when a site is left out of this fold.
    left = [s for s in cohort.list_split_subjects("train") if s not in used]
    aside = []
    if test:
        aside.append(
            FlowBox(
                "Test", (pluralize_count(len(test), "subject"),), "set aside; not looked at for this table"
            )
        )
    if left:
        aside.append(FlowBox("In no part of this fold", (pluralize_count(len(left), "subject"),)))
    note = "" if test else "no test part"
    return SubjectFlow(
        FlowBox("Subjects in the table", (pluralize_count(len(cohort.subjects), "subject"),), note),
        tuple(aside),
        tuple(
            FlowBox(FOLD_PART_TITLES[k], _describe_part_content(cohort, v), FOLD_PART_PURPOSES[k])
            for k, v in parts.items()
        ),
        _build_known_answers_table(material, parts),
    )


def pluralize_count(number: int, noun: str) -> str:
    """Write a number with its noun: `1 subject`, `3 subjects`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def _describe_part_content(cohort: Cohort, subjects: Sequence[str]) -> tuple[str, ...]:
    cases = [c for s in subjects for c in cohort.subjects[s]]
    lines = [pluralize_count(len(subjects), "subject")]
    if cohort.header.visits and len(cohort.header.visits) > 1:
        lines.append(pluralize_count(len(cases), "visit"))
    for name in cohort.header.images:
        count = sum(any(p is not None for p in image_paths(cohort, c, name).values()) for c in cases)
        lines.append(f"{name}: {pluralize_count(count, 'image')}")
    for name, slide in cohort.header.slides.items():
        # `slide_path` searches all rows of the subject, so one row is enough and each slide counts once.
        of = [cohort.subjects[s][0] for s in subjects] if slide.level == "subject" else cases
        lines.append(
            f"{name}: {pluralize_count(sum(slide_path(cohort, c, name) is not None for c in of), 'slide')}"
        )
    for name, table in cohort.header.tables.items():
        count = sum(
            any(
                column_value(cohort, cohort.subjects[s], name, column) is not None for column in table.columns
            )
            for s in subjects
        )
        lines.append(f"{name}: {pluralize_count(count, 'subject')} with data")
    return tuple(lines)


def _build_known_answers_table(material: ReportMaterial, parts: dict[str, list[str]]) -> ReportTable:
    rows = []
    for name in material.tasks:
        if name in material.cohort.header.tasks:
            cells = [_build_known_answers_cell(material, name, v) for v in parts.values()]
            rows.append((material.names.task(name), cells))
    return ReportTable("known answers", ["task", *(FOLD_PART_TITLES[k] for k in parts)], rows)


def _build_known_answers_cell(material: ReportMaterial, name: str, subjects: Sequence[str]) -> TableCell:
    """Build the cell with the number of known answers of a task, and how often each answer occurs."""
    cohort, spec = material.cohort, material.cohort.header.tasks[name]
    cases = [c for s in subjects for c in cohort.subjects[s]]
    if isinstance(spec, VoxelSpec):
        count = sum(voxel_source(cohort, c, name) is not None for c in cases)
        return TableCell(str(count), pluralize_count(count, find_voxel_kind(spec.kind).noun).split()[1])
    of: list[tuple[Case, ...]] = (
        [cohort.subjects[s] for s in subjects] if spec.level == "subject" else [(c,) for c in cases]
    )
    values = [v for v in (pooled_value(cohort, c, name) for c in of) if v is not None]
    what = "subject" if spec.level == "subject" else "visit" if cohort.header.visits else "case"
    unit = pluralize_count(len(values), what).split()[1]
    outside = sum(does_task_apply(cohort, c, name) is False for c in of)
    described = _describe_known_values(material, name, spec, values)
    if outside:
        described = ", ".join(filter(None, [described, f"{NOT_APPLICABLE} {outside}"]))
    return TableCell(str(len(values)), unit, described)


def _describe_known_values(material: ReportMaterial, name: str, spec: Task, values: Sequence[object]) -> str:
    if find_answer_form(spec.kind) == "time":
        return pluralize_count(sum(v[1] > 0 for v in values if isinstance(v, tuple)), "event")
    words = [material.names.word(name, w) for w in words_of(spec)]
    if not words:
        return ""
    counts = [sum((v[k] == 1) if isinstance(v, tuple) else v == k for v in values) for k in range(len(words))]
    return ", ".join(f"{w} {n}" for w, n in zip(words, counts, strict=True))
