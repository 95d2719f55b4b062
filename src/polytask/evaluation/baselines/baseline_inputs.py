"""The inputs of a simple model: table columns of a case as the plan encodes them, or the volumes of a mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats
from polytask.cohort.cell_values import column_value
from polytask.cohort.cohort import Case, Cohort
from polytask.inference.pooled_answers import CaseId
from polytask.plan.plan_schema import ColumnPlan, FoldPlan
from polytask.prepare.table_encoding import encode_table_cells

PredictedVolumes = Mapping[str, Mapping[CaseId, Mapping[str, float]]]
"""Segmentation task → case → structure → volume."""
BaselineInputs = Mapping[str, Any]
"""Plain form of the inputs: `{"tables": {TABLE: {COLUMN: …}}}` or `{"volumes": {"task", "structures", "units"}}`."""


def describe_table_inputs(fold: FoldPlan) -> BaselineInputs:
    """Describe all table columns that the fold uses, with its own imputation, scale and categories."""
    tables = {
        name: {c: p.model_dump(mode="json") for c, p in cs.items()} for name, cs in fold.tables.items() if cs
    }
    return {"tables": tables}


def list_feature_names(inputs: BaselineInputs) -> list[str]:
    """List the name of every feature, in the order of `read_features`."""
    if "volumes" in inputs:
        return [f"log volume of {s}" for s in inputs["volumes"]["structures"]]
    names = []
    for table, columns in inputs["tables"].items():
        for name, column in _order_by_group(_parse_column_plans(columns)).items():
            values = column.values if column.type == "category" else [""]
            names += [f"{table}.{name}{f' = {v}' if v else ''}" for v in values]
    return names


def read_features(
    inputs: BaselineInputs, cohort: Cohort, cases: Sequence[Case], volumes: PredictedVolumes
) -> Floats | None:
    """Read the features `[F]` of one answer: each is the mean over those visits (`cases`) in which it is known.

    None where no input is known at all: then a simple model has nothing to go by.
    """
    rows = [
        _read_volume_features(inputs["volumes"], case, volumes)
        if "volumes" in inputs
        else _read_table_features(inputs["tables"], cohort, case)
        for case in cases
    ]
    if not rows:
        return None
    values, known = np.stack([r[0] for r in rows]), np.stack([r[1] for r in rows])
    if not known.any():
        return None
    count = known.sum(0)
    return np.asarray(np.where(known, values, 0.0).sum(0) / np.maximum(count, 1), np.float64)


def _read_table_features(
    tables: Mapping[str, Any], cohort: Cohort, case: Case
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Read (features, known) `[F]` of a case; a table or column that the cohort does not have is unknown."""
    values, known = [], []
    for name, columns in tables.items():
        spec = cohort.header.tables.get(name)
        declared = {} if spec is None else spec.columns
        cells = {c: column_value(cohort, (case,), name, c) for c in columns if c in declared}
        encoded = encode_table_cells(cells, _order_by_group(_parse_column_plans(columns)))
        values.append(np.asarray(encoded[0], np.float64))
        known.append(encoded[1])
    return np.concatenate(values), np.concatenate(known)


def _read_volume_features(
    spec: Mapping[str, Any], case: Case, volumes: PredictedVolumes
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Read (log(1 + volume / the median training volume), known) of each structure."""
    case_volumes = volumes.get(spec["task"], {}).get((case.subject, case.visit), {})
    units = np.asarray(spec["units"], np.float64)
    known = np.array([s in case_volumes for s in spec["structures"]])
    raw = np.array([case_volumes.get(s, 0.0) for s in spec["structures"]], np.float64)
    return np.asarray(np.log1p(raw / units), np.float64), known


def _parse_column_plans(columns: Mapping[str, Any]) -> dict[str, ColumnPlan]:
    return {c: ColumnPlan.model_validate(p) for c, p in columns.items()}


def _order_by_group(columns: Mapping[str, ColumnPlan]) -> dict[str, ColumnPlan]:
    """Sort columns in the order of `table_features`: columns of a group together, groups in the order of their first
    column."""
    groups = list(dict.fromkeys(c.group for c in columns.values()))
    return {n: c for g in groups for n, c in columns.items() if c.group == g}


def select_readable_cases(cohort: Cohort, task: str, who: CaseId, visits: Sequence[str] | None) -> list[Case]:
    """Select the cases that an answer may read: its own visit, or those visits of the subject that the task reads."""
    subject, visit = who
    own = cohort.subjects.get(subject, ())
    if visit or cohort.header.tasks[task].level != "subject":
        return [c for c in own if c.visit == visit]
    return [c for c in own if not visits or not cohort.header.visits or c.visit in visits]
