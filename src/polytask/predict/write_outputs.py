"""Predictions as files: `predictions.csv`, and masks and doses on the grids of the sources."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from polytask.cohort.cohort import Cohort, Sample
from polytask.cohort.formula_cells import escape_cells
from polytask.errors import PolytaskError
from polytask.images.safe_files import write_atomically
from polytask.images.volume import Volume
from polytask.predict.applicable_answers import mark_not_applicable
from polytask.predict.case_answer import CaseAnswer
from polytask.predict.decision_columns import make_decision_columns
from polytask.predict.missing_inputs import format_missing_inputs
from polytask.predict.output_files import AnswerFileWriter
from polytask.predict.output_folder import PREDICTIONS_FOLDER, PREDICTIONS_TABLE
from polytask.tasks.task import expect_pooled_task

if TYPE_CHECKING:
    from polytask.predict.predictor import Predictor

RowsByCase = dict[tuple[str, str], dict[str, str]]
"""Subject and visit → column → cell."""
ReviseRows = Callable[[RowsByCase], None]


MakeVolumes = Callable[[CaseAnswer], Iterable[tuple[str, str, Volume]]]
"""Makes further files of an answer: task, column after the task's name, volume."""


def write_predictions(
    predictor: Predictor,
    cohort: Cohort,
    out: Path,
    samples: Sequence[Sample] | None = None,
    tta: bool = False,
    probabilities: bool = False,
    overlap: float = 0.5,
    on_answer: Callable[[CaseAnswer], None] | None = None,
    make_cells: Callable[[CaseAnswer], Mapping[str, str]] | None = None,
    make_volumes: MakeVolumes | None = None,
    revise_rows: ReviseRows | None = None,
) -> Path:
    """Predict `samples` (all by default) and write the answers into `out`.

    `predictions.csv` has a row per case, and one per subject for subject tasks; masks and doses are written to
    `predictions/TASK/CASE.nii.gz` (of 2D images .png, doses .tif). The table is written last: with it, the folder is
    complete. What the folder holds before is not checked here, see `output_folder`.

    Args:
        on_answer: called with every answer after its files were written.
        make_cells: makes cells that a row gets in addition, or instead of its own.
        make_volumes: makes files that are written in addition, with a cell for each.
        revise_rows: changes rows that need all other answers first; called before the table is written.
    """
    try:
        (out / PREDICTIONS_FOLDER).mkdir(parents=True, exist_ok=True)
        (out / PREDICTIONS_TABLE).unlink(missing_ok=True)
    except OSError as error:
        raise PolytaskError(f"{out}: cannot write here ({error.strerror}); choose another folder") from None
    chosen = cohort.samples() if samples is None else list(samples)
    of_subject = {sample.subject: sample for sample in chosen}
    files, reading = AnswerFileWriter(out, cohort), predictor.model_inputs
    rows_by_case: RowsByCase = {}
    for answer in predictor.answers(cohort, chosen, tta=tta, probabilities=probabilities, overlap=overlap):
        row_tasks = [
            t for t in predictor.tasks if (predictor.tasks[t].level == "subject") == (answer.case is None)
        ]
        missing = reading.find_missing_in_sample(cohort, of_subject[answer.subject], answer.case, row_tasks)
        row = {
            "subject": answer.subject,
            "visit": answer.visit,
            **_describe_members(predictor),
            "inputs_missing": format_missing_inputs(missing),
            **_format_answer_cells(predictor, answer),
            **(make_cells(answer) if make_cells else {}),
            **files.write(answer),
            **files.write_more(answer, make_volumes(answer) if make_volumes else ()),
        }
        # A case and its subject share one row where the case has no visit: the later answer adds its columns.
        rows_by_case.setdefault((answer.subject, answer.visit), {}).update(row)
        if on_answer:
            on_answer(answer)
    if revise_rows:
        revise_rows(rows_by_case)
    # Only here: the answer that decides may be about the subject, and promises may have calibrated it.
    mark_not_applicable(rows_by_case, predictor.tasks)
    rows = list(rows_by_case.values())
    columns = list(dict.fromkeys(c for row in rows for c in row))
    with write_atomically(out / PREDICTIONS_TABLE) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        table = csv.writer(text)
        # An id such as `=1+1` would be run as a formula by a spreadsheet.
        table.writerow(escape_cells(columns))
        table.writerows(escape_cells(row.get(c, "") for c in columns) for row in rows)
        # Hands what is still buffered to the stream and leaves it open: `write_atomically` closes it and renames the
        # file.
        text.detach()
    return out


def _describe_members(predictor: Predictor) -> dict[str, str]:
    """Make the columns that say which models answered: fold, seed and number of members."""
    members = predictor.members
    return {
        "fold": ";".join(dict.fromkeys(str(m.fold) for m in members)),
        "seed": ";".join(dict.fromkeys(str(m.seed) for m in members)),
        "member": str(len(members)) if len(members) > 1 else "",
    }


def _format_answer_cells(predictor: Predictor, answer: CaseAnswer) -> dict[str, str]:
    """Format the answers of visit and subject tasks as cells; a number that is not finite becomes an empty cell."""
    row: dict[str, str] = {}
    for name, arrays in answer.pooled.items():
        task = expect_pooled_task(predictor.tasks[name])
        for suffix, value in task.columns(arrays, 0).items():
            if isinstance(value, str):
                row[f"{name}{suffix}"] = value
            else:
                row[f"{name}{suffix}"] = f"{value:.6g}" if isfinite(value) else ""
        for suffix, decided in make_decision_columns(task, predictor.decisions, arrays, 0).items():
            row[f"{name}{suffix}"] = decided
        row |= {f"{name}.{k}": f"{v[0]:.4g}" for k, v in arrays.items() if k.startswith("source.")}
    return row
