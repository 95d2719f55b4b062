"""`results.parquet`: every number of every finished run in one long table, built only from the run folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from polytask.atomic_files import write_file_atomically
from polytask.errors import PolytaskError
from polytask.evaluation.evaluation_result import EVALUATION_FILE as EVALUATION
from polytask.evaluation.evaluation_result import Evaluation
from polytask.evaluation.part_answers import ANSWERS_FILE as ANSWERS
from polytask.evaluation.part_answers import PartAnswers
from polytask.inference.pooled_answers import PooledAnswers
from polytask.kinds import find_answer_form
from polytask.study.results_table import RESULTS_SCHEMA
from polytask.study.study_folder import Study, StudyRun

ResultRow = tuple[str, str, str, str, str, float | None, int | None]
"""One row without the columns of the run: task, kind, subject, visit, name, value, n."""


class ResultsWriter:
    """Collects and writes the results table of a study; each finished run is read only once."""

    def __init__(self) -> None:
        self._table_by_run: dict[str, pa.Table] = {}
        self._held = 0

    def is_due(self, done: int) -> bool:
        """Whether to write the table again while runs go on: when a quarter more runs are done than it holds.

        Writing takes longer as the table grows; waiting for a share of it keeps the cost per run constant. The end of a
        command always writes.
        """
        return done >= self._held + max(1, self._held // 4)

    def write(self, study: Study) -> Path:
        """Write `STUDY/results.parquet` completely or not at all; a part left by a killed command is replaced."""
        done = [run for run in study.runs if run.state == "done"]
        for run in done:
            if run.name not in self._table_by_run:
                self._table_by_run[run.name] = build_run_table(run)
        tables = [self._table_by_run[run.name] for run in done]
        try:
            with write_file_atomically(study.results) as part:
                pq.write_table(pa.concat_tables(tables) if tables else RESULTS_SCHEMA.empty_table(), part)
            self._held = len(done)
        except OSError as error:
            raise PolytaskError(
                f"{study.results}: cannot be written ({error.strerror or error}); free some space, then run the same "
                "command again: finished runs are kept"
            ) from None
        return study.results


def build_run_table(run: StudyRun) -> pa.Table:
    """Build the rows of one finished run as an Arrow table."""
    evaluation = Evaluation.read(run.folder / EVALUATION)
    rows = [
        *list_metric_rows(evaluation),
        *list_case_rows(evaluation, PartAnswers.read(run.folder / ANSWERS)),
    ]
    rows += [
        ("", "cost", "", "", name, _finite_or_none(cost), None) for name, cost in run.record["costs"].items()
    ]
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
    run_values = [
        run.name,
        run.arm.name,
        run.arm.block,
        run.arm.balance,
        run.arm.preset,
        run.fold,
        run.seed,
    ]
    return pa.Table.from_arrays(
        [
            pa.array(values, field.type)
            for values, field in zip(
                [*([v] * len(rows) for v in run_values), *columns], RESULTS_SCHEMA, strict=True
            )
        ],
        schema=RESULTS_SCHEMA,
    )


def list_metric_rows(evaluation: Evaluation) -> Iterator[ResultRow]:
    """Yield a row for every metric, for the skill of each task, and for the mean skill."""
    for task, metrics in evaluation.metrics.items():
        named = {**metrics, "skill": evaluation.skill[task]}
        for name, estimate in named.items():
            yield task, "metric", "", "", name, _finite_or_none(estimate.estimate), estimate.n
    mean = evaluation.mean_skill
    yield "", "metric", "", "", "mean_skill", _finite_or_none(mean.estimate), mean.n


def list_case_rows(evaluation: Evaluation, answers: PartAnswers) -> Iterator[ResultRow]:
    """Yield the answers and the truth of each case, and the metrics of each case of a voxel task."""
    for task, items in answers.pooled.items():
        kind, names = str(evaluation.tasks[task]["kind"]), list(evaluation.tasks[task]["names"])
        for k, (subject, visit) in enumerate(items.ids):
            cells = {
                **collect_truth_cells(kind, names, items, k),
                **collect_answer_cells(names, items.prediction, k),
            }
            for name, value in cells.items():
                yield task, "case", subject, visit, name, _finite_or_none(value), None
    for task, cases in answers.voxel.items():
        for (subject, visit), metrics in zip(cases.ids, cases.metrics, strict=True):
            for name, value in metrics.items():
                yield task, "case", subject, visit, name, _finite_or_none(value), None


def collect_truth_cells(kind: str, names: list[str], items: PooledAnswers, k: int) -> dict[str, float]:
    """Return the truth of item `k`: `truth` (a class as its number), `truth.LABEL`, or `time` and `event`, or NaN."""
    value, known = np.asarray(items.value[k], np.float64), np.asarray(items.known[k], bool)
    if find_answer_form(kind) == "time":
        # A time without its event says nothing, so both are unknown together.
        pair = value if known.all() else np.full(2, np.nan)
        return {"time": float(pair[0]), "event": float(pair[1])}
    value = np.where(known, value, np.nan)
    if find_answer_form(kind) == "labels":
        return {f"truth.{name}": float(v) for name, v in zip(names, value, strict=True)}
    return {"truth": float(value)}


def collect_answer_cells(names: list[str], prediction: Mapping[str, Any], k: int) -> dict[str, float]:
    """Return the answer for item `k`: `value`, `risk`, `p.CLASS`, or `p.0`, `p.1`, … for the horizons of survival."""
    cells: dict[str, float] = {}
    for key, array in prediction.items():
        values = np.asarray(array[k], np.float64)
        if values.ndim == 0:
            cells[key] = float(values)
            continue
        # Probabilities of classes have as many columns as names; those of horizons are numbered.
        ends = names if values.size == len(names) else list(map(str, range(values.size)))
        cells |= {f"{key}.{end}": float(v) for end, v in zip(ends, values.ravel(), strict=True)}
    return cells


def _finite_or_none(number: float | None) -> float | None:
    # Parquet tells null from NaN; one form of "unknown" is enough for readers.
    return None if number is None or not isfinite(number) else float(number)
