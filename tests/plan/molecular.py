"""Cohorts with wide tables and all kinds of pooled task, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from polytask.cohort.cohort import Cohort
from polytask.plan.fingerprint_records import Fingerprint
from polytask.plan.plan_schema import Plan
from polytask.plan.planner import make_plan
from polytask.plan.rules.fold_facts import FoldFacts
from tests.plan.worlds import LAPTOP, case_record, cohort_of, header, image_record, one_fold

Cells = list[dict[str, str]]


def names(count: int, form: str = "gene{}") -> list[str]:
    return [form.format(i) for i in range(count)]


def molecular(columns: Sequence[str], **column: Any) -> dict[str, Any]:
    """Inputs of one table of numbers."""
    return {"mol": {"kind": "table", "columns": {c: {"type": "number", **column} for c in columns}}}


TASKS: dict[str, Any] = {
    "grade": {"kind": "ordinal", "order": ["G1", "G2", "G3"]},
    "type": {"kind": "classification", "classes": ["a", "b", "c"]},
    "marks": {"kind": "multilabel", "labels": ["x", "y"]},
    "size": {"kind": "regression"},
    "os": {"kind": "survival", "unit": "months"},
}


def cells_of(subjects: int, columns: Sequence[str], seed: int = 0) -> Cells:
    """Random numbers, and answers to all tasks."""
    rng = np.random.default_rng(seed)
    rows: Cells = []
    for i in range(subjects):
        row = {c: f"{v:.4f}" for c, v in zip(columns, rng.normal(size=len(columns)), strict=True)}
        row |= {"grade": f"G{1 + i % 3}", "type": "abc"[i // 2 % 3], "size": f"{rng.normal():.3f}"}
        row |= {"marks.x": str(i % 2), "marks.y": str(i // 3 % 2)}
        row |= {"os_time": f"{rng.exponential(20) + 1:.2f}", "os_event": str(int(rng.random() < 0.7))}
        rows.append(row)
    return rows


def world(columns: Sequence[str], cells: Cells, tasks: Sequence[str] = tuple(TASKS), **parts: Any) -> Cohort:
    head = header(inputs=parts.pop("inputs", molecular(columns)), tasks={t: TASKS[t] for t in tasks}, **parts)
    return cohort_of(head, cells)


def basis_of(cohort: Cohort, train: Sequence[str] | None = None) -> FoldFacts:
    return FoldFacts(cohort, Fingerprint(cases={}), 0, tuple(train or cohort.subjects), {})


def planned(cohort: Cohort) -> Plan:
    """With one fold; the last two subjects are held out, the one before tunes."""
    records = {c.key: case_record(c.subject, image_record((24, 24, 24))) for c in cohort.cases}
    if not cohort.header.images:
        records = {k: r.model_copy(update={"images": {}}) for k, r in records.items()}
    return make_plan(cohort, Fingerprint(cases=records), one_fold(cohort), machine=LAPTOP)
