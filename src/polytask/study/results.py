"""`results.parquet`: every number of every finished run in one long table, built only from the run folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from polytask.errors import PolytaskError
from polytask.evaluation.answers import FILE as ANSWERS
from polytask.evaluation.answers import Answers, Items
from polytask.evaluation.result import FILE as EVALUATION
from polytask.evaluation.result import Evaluation
from polytask.kinds import answer_form
from polytask.study.folder import RESULTS, Study, StudyRun

Row = tuple[str, str, str, str, str, float | None, int | None]
"""One row without the columns of the run: task, kind, subject, visit, name, value, n."""
TEXT = ("run", "arm", "sharing", "balance", "preset")
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in TEXT),
        *((name, pa.int32()) for name in ("fold", "seed")),
        *((name, pa.string()) for name in ("task", "kind", "subject", "visit", "name")),
        ("value", pa.float64()),
        ("n", pa.int64()),
    ]
)
"""Columns in long form. `kind` is `metric` (of the run on the held-out part, with `n` known items), `case` (answer,
truth or metric of one subject and visit) or `cost` (of the run). A value that is undefined or unknown is null."""
PART = f".{RESULTS}.part"


class Results:
    """Collects and writes the results table of a study; each finished run is read only once."""

    def __init__(self) -> None:
        self._seen: dict[str, pa.Table] = {}
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
            if run.name not in self._seen:
                self._seen[run.name] = table_of(run)
        tables = [self._seen[run.name] for run in done]
        part = study.folder / PART
        try:
            pq.write_table(pa.concat_tables(tables) if tables else SCHEMA.empty_table(), part)
            os.replace(part, study.results)
            self._held = len(done)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise PolytaskError(
                f"{study.results}: cannot be written ({error.strerror or error}); free some space, then run the same "
                "command again: finished runs are kept"
            ) from None
        return study.results


def read_results(path: Path) -> pa.Table:
    """Read the table that `ResultsWriter.write` wrote."""
    try:
        return pq.read_table(path, schema=SCHEMA)
    except (OSError, pa.ArrowException) as error:
        raise PolytaskError(
            f"{path}: cannot be read ({str(error).splitlines()[0]}); run the study's command again, which makes it "
            "anew from the run folders"
        ) from None


def table_of(run: StudyRun) -> pa.Table:
    """Build the rows of one finished run as an Arrow table."""
    evaluation = Evaluation.read(run.folder / EVALUATION)
    rows = [*metric_rows(evaluation), *case_rows(evaluation, Answers.read(run.folder / ANSWERS))]
    rows += [("", "cost", "", "", name, _value(cost), None) for name, cost in run.record["costs"].items()]
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
    own = [run.name, run.arm.name, run.arm.sharing, run.arm.balance, run.arm.preset, run.fold, run.seed]
    return pa.Table.from_arrays(
        [
            pa.array(values, field.type)
            for values, field in zip([*([v] * len(rows) for v in own), *columns], SCHEMA, strict=True)
        ],
        schema=SCHEMA,
    )


def metric_rows(evaluation: Evaluation) -> Iterator[Row]:
    """Yield a row for every metric, for the skill of each task, and for the mean skill."""
    for task, metrics in evaluation.metrics.items():
        named = {**metrics, "skill": evaluation.skill[task]}
        for name, found in named.items():
            yield task, "metric", "", "", name, _value(found.estimate), found.n
    mean = evaluation.mean_skill
    yield "", "metric", "", "", "mean_skill", _value(mean.estimate), mean.n


def case_rows(evaluation: Evaluation, answers: Answers) -> Iterator[Row]:
    """Yield the answers and the truth of each case, and the metrics of each case of a voxel task."""
    for task, items in answers.pooled.items():
        kind, names = str(evaluation.tasks[task]["kind"]), list(evaluation.tasks[task]["names"])
        for k, (subject, visit) in enumerate(items.ids):
            cells = {**truth_cells(kind, names, items, k), **answer_cells(names, items.prediction, k)}
            for name, value in cells.items():
                yield task, "case", subject, visit, name, _value(value), None
    for task, cases in answers.voxel.items():
        for (subject, visit), metrics in zip(cases.ids, cases.metrics, strict=True):
            for name, value in metrics.items():
                yield task, "case", subject, visit, name, _value(value), None


def truth_cells(kind: str, names: list[str], items: Items, k: int) -> dict[str, float]:
    """Return the truth of item `k`: `truth` (a class as its number), `truth.LABEL`, or `time` and `event`, or NaN."""
    value, known = np.asarray(items.value[k], np.float64), np.asarray(items.known[k], bool)
    if answer_form(kind) == "time":
        # A time without its event says nothing, so both are unknown together.
        pair = value if known.all() else np.full(2, np.nan)
        return {"time": float(pair[0]), "event": float(pair[1])}
    value = np.where(known, value, np.nan)
    if answer_form(kind) == "labels":
        return {f"truth.{name}": float(v) for name, v in zip(names, value, strict=True)}
    return {"truth": float(value)}


def answer_cells(names: list[str], prediction: Mapping[str, Any], k: int) -> dict[str, float]:
    """Return the answer for item `k`: `value`, `risk`, `p.CLASS`, or `p.0`, `p.1`, … for the horizons of survival."""
    found: dict[str, float] = {}
    for key, array in prediction.items():
        values = np.asarray(array[k], np.float64)
        if values.ndim == 0:
            found[key] = float(values)
            continue
        # Probabilities of classes have as many columns as names; those of horizons are numbered.
        ends = names if values.size == len(names) else list(map(str, range(values.size)))
        found |= {f"{key}.{end}": float(v) for end, v in zip(ends, values.ravel(), strict=True)}
    return found


def _value(number: float | None) -> float | None:
    # Parquet tells null from NaN; one form of "unknown" is enough for readers.
    return None if number is None or not isfinite(number) else float(number)
