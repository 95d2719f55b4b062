"""Screening of wide tables: from the train part alone, every column accounted for, quick."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from polytask.plan.plan_file import render_plan
from polytask.plan.plan_schema import Plan
from polytask.plan.rules.column_screening import compute_column_limit, screen_columns
from tests.calls import count_calls
from tests.plan.molecular import TASKS, Cells, basis_of, cells_of, molecular, names, planned, world
from tests.plan.worlds import cohort_of, header


@pytest.mark.parametrize(
    ("subjects", "limit"), [(3, 64), (12, 64), (20, 100), (51, 255), (60, 256), (9000, 256)]
)
def test_five_columns_for_each_training_subject(subjects: int, limit: int) -> None:
    assert compute_column_limit(subjects) == limit


def test_a_table_within_the_limit_keeps_all_columns() -> None:
    columns = names(64)
    plan = planned(world(columns, cells_of(15, columns)))
    assert list(plan.folds[0].tables["mol"]) == columns
    reason = plan.folds[0].why["tables.mol"]
    assert (
        reason == f"{len(plan.folds[0].tables['mol'])} of {len(plan.folds[0].tables['mol'])} columns are used"
    )
    assert {c.group for c in plan.folds[0].tables["mol"].values()} == {None}


def spoilt(columns: Sequence[str], cells: Cells, planted: str, say: Callable[[int], float]) -> Cells:
    """40 columns nearly empty, 30 constant, 50 repeats of others; one that carries an answer."""
    for i, row in enumerate(cells):
        for c in columns[:40]:
            if i % 3:
                row.pop(c)
        row.update(dict.fromkeys(columns[40:70], "1.5"))
        row.update(
            {c: f"{-2 * float(row[columns[120 + k]]) + 1:.4f}" for k, c in enumerate(columns[300:350])}
        )
        row[planted] = f"{say(i):.4f}"
    return cells


def test_the_reason_accounts_for_every_column() -> None:
    columns = names(400)
    cells = spoilt(columns, cells_of(30, columns), columns[200], lambda i: i % 3 + 0.01 * i)
    fold = planned(world(columns, cells)).folds[0]
    kept, reason = fold.tables["mol"], fold.why["tables.mol"]
    assert len(kept) == 135  # 27 training subjects
    assert "135 of 400 numeric columns are used" in reason
    assert "40 known for less than 50 % of the training subjects" in reason
    assert "30 that never vary" in reason
    assert "50 that repeat an earlier column" in reason
    assert f"{400 - 135 - 120} less associated with grade, type, marks, size and 1 more in train" in reason
    lost = [columns[i] for i in (*range(70), *range(300, 350))]
    assert not set(lost) & set(kept)
    assert not [c for c in lost if c in reason or f"tables.mol.{c}" in fold.why]
    assert "rank 1 by association with grade (|z| " in fold.why[f"tables.mol.{columns[200]}"]


SAY: dict[str, Callable[[dict[str, str]], float]] = {
    "grade": lambda row: int(row["grade"][1]),
    "type": lambda row: {"a": 0, "b": 1, "c": 0}[row["type"]],
    "marks": lambda row: int(row["marks.y"]),
    "size": lambda row: -np.exp(float(row["size"])),
    "os": lambda row: 1 / float(row["os_time"]),
}


@pytest.mark.parametrize("task", list(TASKS))
def test_what_carries_the_answer_to_any_one_task_is_kept(task: str) -> None:
    """A single column among 500, with a little noise, for each kind of task."""
    columns, rng = names(500), np.random.default_rng(1)
    cells = cells_of(40, columns)
    for row in cells:
        row["gene450"] = f"{SAY[task](row) * (1 + 0.05 * rng.normal()):.5f}"
    found = screen_columns(basis_of(world(columns, cells)), "mol", columns)
    assert len(found.kept) == 200
    assert f"rank 1 by association with {task} " in found.kept["gene450"]


def test_a_subject_task_is_held_against_the_visits_it_reads() -> None:
    """The answer stands at the first visit of one column and at the second of another; the task reads the first."""
    columns = names(300)
    tasks = {
        "response": {"kind": "classification", "level": "subject", "classes": ["n", "y"], "visits": ["one"]}
    }
    rows: Cells = []
    for i, (one, two) in enumerate(zip(cells_of(24, columns), cells_of(24, columns, 1), strict=True)):
        one["gene7"], two["gene8"] = (str(i % 2 + 0.01 * i) for _ in range(2))
        rows += [{"subject": f"s{i}", "visit": v, "response": "ny"[i % 2], **{c: r[c] for c in columns}}
                 for v, r in (("one", one), ("two", two))]  # fmt: skip
    head = header(inputs=molecular(columns), tasks=tasks, visits=["one", "two"])
    found = screen_columns(basis_of(cohort_of(head, rows)), "mol", columns)
    assert "rank 1 by association with response (|z| 4." in found.kept["gene7"]
    assert "rank 1 by" not in found.kept.get("gene8", "")


def test_without_pooled_tasks_nothing_judges() -> None:
    columns = names(200)
    inputs = {"scan": {"kind": "image", "channels": {"ct": "CT"}}, **molecular(columns)}
    tasks = {"tumour": {"kind": "segmentation", "image": "scan", "labels": {"tumour": 1}}}
    cohort = cohort_of(header(inputs=inputs, tasks=tasks), cells_of(15, columns))
    found = screen_columns(basis_of(cohort), "mol", columns)
    assert list(found.kept) == columns[:75]
    assert "125 later in the table (no task has enough known answers to rank them)" in found.reason


def fold_text(plan: Plan) -> str:
    return render_plan(plan.model_copy(update={"cohort": "x", "digest": "x"}), Path(".")).split(
        "# For each fold"
    )[1]


def test_held_out_subjects_change_no_byte_of_a_screened_fold() -> None:
    """400 columns; every cell and answer of the three subjects outside train changes, or goes."""
    columns = names(400)
    before = cells_of(18, columns)
    texts = [fold_text(planned(world(columns, before)))]
    for spoil in ("change", "empty"):
        after = [dict(row) for row in before]
        for row, other in zip(after[15:], cells_of(18, columns, seed=9)[15:], strict=True):
            row.update({k: v for k, v in other.items() if k in columns or k in ("size", "os_time")})
            row |= {"grade": "G2", "type": "b", "marks.x": "1", "os_event": "1"}
            if spoil == "empty":
                row.clear()
        texts.append(fold_text(planned(world(columns, after))))
    assert texts[0] == texts[1] == texts[2]
    assert "75 of 400 numeric columns" in texts[0].replace("\n", " ").replace("      ", "")


def test_training_subjects_do_change_which_columns_are_kept() -> None:
    columns = names(400)
    cells = cells_of(18, columns)
    before = list(planned(world(columns, cells)).folds[0].tables["mol"])
    cells[:15] = [{**row, "size": row["gene3"]} for row in cells[:15]]
    assert list(planned(world(columns, cells)).folds[0].tables["mol"]) != before


def test_calls_of_screening_grow_with_cells_and_not_with_pairs_of_columns() -> None:
    """100 subjects, five tasks: cells are parsed one by one, columns set beside each other as matrices."""
    calls = []
    for many in (300, 600):
        columns = names(many)
        basis = basis_of(world(columns, cells_of(100, columns)))
        calls.append(count_calls(lambda basis=basis, columns=columns: screen_columns(basis, "mol", columns)))
    assert calls[1] / calls[0] < 2.2
    assert calls[1] < 15 * 100 * 600


def test_screening_keeps_256_and_is_the_same_twice() -> None:
    columns = names(600)
    basis = basis_of(world(columns, cells_of(100, columns)))
    assert len(screen_columns(basis, "mol", columns).kept) == 256
    some = columns[:300]
    assert screen_columns(basis, "mol", some) == screen_columns(basis, "mol", some)


def test_nothing_left_is_said_and_not_an_error() -> None:
    columns = names(70)
    cells = [{**row, **dict.fromkeys(columns, "1")} for row in cells_of(15, columns)]
    fold = planned(world(columns, cells)).folds[0]
    assert fold.tables["mol"] == {}
    assert "0 of 70 numeric columns are used" in fold.why["tables.mol"]


def test_a_column_known_at_one_of_four_visits_is_filled() -> None:
    columns, rows = names(70), list[dict[str, str]]()
    for i, first in enumerate(cells_of(12, columns)):
        rows += [
            {"subject": f"s{i}", "visit": v, "size": first["size"]} | (first if v == "a" else {})
            for v in "abcd"
        ]
    head = header(inputs=molecular(columns), tasks={"size": TASKS["size"]}, visits=list("abcd"))
    assert len(screen_columns(basis_of(cohort_of(head, rows)), "mol", columns).kept) == 64
    for row in rows[:28:4]:
        row.pop("gene5")
    found = screen_columns(basis_of(cohort_of(head, rows)), "mol", columns)
    assert "1 known for less than 50 % of the training subjects" in found.reason
    assert "gene5" not in found.kept
