"""Writes `cases.csv`: one row for each subject and visit, with truth and answer side by side, for a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from polytask.atomic_files import write_file_atomically
from polytask.cohort.formula_cells import escape_cells
from polytask.evaluation.end_to_end import find_applicability
from polytask.evaluation.metric_estimates import list_class_names
from polytask.evaluation.part_answers import PartAnswers
from polytask.inference.pooled_answers import CaseId, PooledAnswers
from polytask.kinds import find_answer_form
from polytask.kinds.applicability import NOT_APPLICABLE
from polytask.tasks.task import PooledTask, Task, expect_pooled_task

CsvCell = str | float


def write_cases(tasks: Mapping[str, Task], answers: PartAnswers, path: Path) -> None:
    """Write the columns `TASK.truth`, `TASK.answer`, `TASK.p.CLASS`, `TASK.dice.STRUCTURE`, ….

    The row of an answer about the subject has an empty visit. Unknown and undefined cells are empty; where a task does
    not apply, truth and answer say so.
    """
    rows: dict[CaseId, dict[str, CsvCell]] = {}
    for name, task in tasks.items():
        applies = find_applicability(name, tasks, answers)
        for k, who in enumerate(answers.ids(name)):
            row = rows.setdefault(who, {"subject": who[0], "visit": who[1], "site": answers.sites[who[0]]})
            if name in answers.voxel:
                cells: dict[str, CsvCell] = {**answers.voxel[name].metrics[k]}
                cells.pop("n", None)
            else:
                cells = list_item_cells(expect_pooled_task(task), answers.pooled[name], k)
                if applies is not None and not applies.answered[k]:
                    cells["answer"] = NOT_APPLICABLE
                if applies is not None and applies.truth[k] == 0 and "truth" in cells:
                    cells["truth"] = NOT_APPLICABLE
            row |= {f"{name}.{column}": value for column, value in cells.items()}
    order = {s: i for i, s in enumerate(answers.sites)}
    columns = list(dict.fromkeys(["subject", "visit", "site", *(c for row in rows.values() for c in row)]))
    with (
        write_file_atomically(path) as part,
        part.open("w", newline="", encoding="utf-8") as stream,
    ):
        table = csv.writer(stream)
        # Class names come from the cohort: a spreadsheet must not run one that looks like a formula.
        table.writerow(escape_cells(columns))
        for who in sorted(rows, key=lambda w: order[w[0]]):
            table.writerow(escape_cells(_format_cell(rows[who].get(c, "")) for c in columns))


def list_item_cells(task: PooledTask, items: PooledAnswers, k: int) -> dict[str, CsvCell]:
    """List truth and answer of item `k` of a visit or subject task, by column."""
    truth_cells = _list_truth_cells(task, items.value[k], items.known[k])
    answer = task.columns(items.prediction, k)
    return truth_cells | {"answer" if suffix == "" else suffix[1:]: v for suffix, v in answer.items()}


def _list_truth_cells(task: Task, value: Any, known: Any) -> dict[str, CsvCell]:
    names = list_class_names(task)
    if find_answer_form(task.kind) == "labels":
        return {f"truth.{c}": int(v > 0.5) if k else "" for c, v, k in zip(names, value, known, strict=True)}
    if find_answer_form(task.kind) == "time":
        return {"time": float(value[0]) if known else "", "event": int(value[1] > 0) if known else ""}
    if not known:
        return {"truth": ""}
    return {"truth": names[int(value)] if names else float(value)}


def _format_cell(value: CsvCell) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.6g}" if np.isfinite(value) else ""
