"""Judges the masks and doses that a table of answers names, on the grid of the case's image as ours are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from polytask.cohort import header
from polytask.cohort.cell_values import ABSENT, image_paths
from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.text_table import TextRow
from polytask.errors import PolytaskError
from polytask.evaluation.answer_collector import measure_voxel_case
from polytask.evaluation.other_answers.answer_table import AnswerTable
from polytask.evaluation.part_answers import CaseMetrics
from polytask.evaluation.voxel_truth import describe_source_grid
from polytask.images.formats import probe_image_file
from polytask.images.volume import Array, Grid, Volume
from polytask.inference.pooled_answers import CaseId
from polytask.kinds.class_words import list_answer_words
from polytask.prepare.stored_targets import TargetFrame, prepare_target
from polytask.tasks.task import Task, expect_voxel_task


def measure_other_masks(
    table: AnswerTable, task: Task, cohort: Cohort, wanted: Sequence[CaseId]
) -> CaseMetrics:
    """Compute the metrics of each wanted case that the table answers."""
    cases = {(c.subject, c.visit): c for c in cohort.cases}
    ids, metrics = [], []
    for who in wanted:
        row = table.rows[task.name].get(who)
        if row is None:
            continue
        volume = read_other_volume(table, row, task, cohort, cases[who])
        case_metrics = measure_voxel_case(cohort, cases[who], expect_voxel_task(task), volume)
        if case_metrics is not None:
            ids.append(who)
            metrics.append(case_metrics)
    return CaseMetrics(tuple(ids), tuple(metrics))


def read_other_volume(table: AnswerTable, row: TextRow, task: Task, cohort: Cohort, case: Case) -> Volume:
    """Read a mask or dose on the grid of its image, in the form of our own answers: exclusive `[1, *space]` 0..K,
    overlapping `[K, *space]`, dose `[1, *space]`."""
    spec = cohort.header.tasks[task.name]
    assert isinstance(spec, header.VoxelSpec)
    grid, place = _read_image_grid(cohort, case, spec.image, table.where(row)), table.where(row)
    frame = TargetFrame(
        describe_source_grid(grid), oriented=False, align=cohort.header.images[spec.image].align, where=place
    )
    paths = list_answer_paths(table, row, task)
    value = _read_voxel_files(spec, paths, frame)
    return Volume(value if spec.overlapping else value[None], grid)


def _read_voxel_files(spec: header.VoxelSpec, paths: Sequence[Path | None], frame: TargetFrame) -> Array:
    names = list_answer_words(spec)
    first = paths[0]
    if (
        isinstance(spec, header.MaskSpec)
        and spec.labels is not None
        and spec.overlapping
        and first is not None
    ):
        drawn = frame.read(first)
        if len(drawn.array) == len(names) > 1:  # a plane for each structure, as `predict` writes them
            planes = frame.bring_to_grid(Volume((drawn.array != 0).astype(np.uint8), drawn.grid), 0)
            return np.asarray(planes, np.uint8)
    return prepare_target(spec, paths, (True,) * len(names), None, frame).value


def list_answer_paths(table: AnswerTable, row: TextRow, task: Task) -> tuple[Path | None, ...]:
    """List the file of an answer, or one file for each structure (None for the word `absent`); all of them exist."""
    columns = table.columns[task.name]
    if columns.answer and row.cells[columns.answer]:
        return (_require_file(table, row, columns.answer),)
    structures = list(getattr(task, "structures", ()))
    paths: list[Path | None] = []
    for name in structures:
        column = columns.parts.get(name, "")
        cell = row.cells[column] if column else ""
        if not cell:
            raise PolytaskError(
                f"{table.where(row)}: no mask of {name!r} for {task.name}; expected a path in {task.name}.{name}, or "
                f"the word {ABSENT!r}"
            )
        paths.append(None if cell == ABSENT else _require_file(table, row, column))
    return tuple(paths)


def require_answer_files(table: AnswerTable, task: Task) -> None:
    """Refuse a table that names files which do not exist, before any long work begins."""
    for row in table.rows[task.name].values():
        list_answer_paths(table, row, task)


def _require_file(table: AnswerTable, row: TextRow, column: str) -> Path:
    path = table.path.parent / row.cells[column]
    if not path.exists():
        raise PolytaskError(
            f"{table.where(row)}, column {column}: there is no file {row.cells[column]!r} in the folder of the table; "
            "correct the path"
        )
    return path


def _read_image_grid(cohort: Cohort, case: Case, image: str, where: str) -> Grid:
    """Read the grid of the first channel that the case has: the grid on which answers are judged."""
    path = next((p for p in image_paths(cohort, case, image).values() if p is not None), None)
    if path is None:
        raise PolytaskError(
            f"{where}: the cohort has no image {image!r} of this case, so the grid of a mask is not known"
        )
    return probe_image_file(path, cohort.header.images[image].dims).grid
