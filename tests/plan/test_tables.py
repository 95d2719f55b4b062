"""Screening of wide tables: from the train part alone, every column accounted for, quick."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from polytask.plan.plan_file import render_plan
from polytask.plan.plan_schema import Plan
from polytask.plan.rules.column_screening import is_table_screened, screen_columns
from tests.calls import count_calls
from tests.plan.molecular import TASKS, Cells, basis_of, cells_of, molecular, names, planned, world
from tests.plan.worlds import cohort_of, header


@pytest.mark.parametrize(
    ("subjects", "columns", "screened"), [(12, 32, False), (12, 33, True), (400, 40, False), (400, 41, True)]
)
def test_small_tables_and_tables_that_the_answers_bear_are_not_screened(
    subjects: int, columns: int, screened: bool
) -> None:
    """One column for each ten of the 400 known sizes."""
    cohort = world(names(1), cells_of(subjects, names(1)), tasks=["size"])
    assert is_table_screened(basis_of(cohort), columns) == screened


def test_a_small_table_keeps_all_columns() -> None:
    columns = names(32)
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
    assert columns[200] in kept
    assert len(kept) <= 3
    assert f"{len(kept)} of 400 numeric columns" in reason
    assert "75 % of 100 random halves" in reason
    assert "40 known for less than 50 % of the training subjects" in reason
    assert "30 that never vary" in reason
    assert "50 that repeat an earlier column" in reason
    assert f"{400 - len(kept) - 120} not stably associated with grade, type, marks, size and 1 more" in reason
    assert "1 for grade (18 cases outside the most frequent class, 10 for each column)" in reason
    lost = [columns[i] for i in (*range(70), *range(300, 350))]
    assert not set(lost) & set(kept)
    assert not [c for c in lost if c in reason or f"tables.mol.{c}" in fold.why]
    assert "associated with grade (|z| " in fold.why[f"tables.mol.{columns[200]}"]


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
    assert len(found.kept) <= 4
    assert f"associated with {task} " in found.kept["gene450"]
    assert found.kept["gene450"].endswith(" % of the halves")


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
    assert "associated with response (|z| 4." in found.kept["gene7"]
    assert "gene8" not in found.kept


def test_without_pooled_tasks_nothing_judges() -> None:
    columns = names(200)
    inputs = {"scan": {"kind": "image", "channels": {"ct": "CT"}}, **molecular(columns)}
    tasks = {"tumour": {"kind": "segmentation", "image": "scan", "labels": {"tumour": 1}}}
    cohort = cohort_of(header(inputs=inputs, tasks=tasks), cells_of(15, columns))
    found = screen_columns(basis_of(cohort), "mol", columns)
    assert list(found.kept) == columns[:32]
    assert "168 later in the table (no task has enough known answers to judge them)" in found.reason


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
    assert "of 400 numeric columns" in texts[0].replace("\n", " ").replace("      ", "")


def test_training_subjects_do_change_which_columns_are_kept() -> None:
    columns = names(400)
    cells = cells_of(18, columns)
    before = list(planned(world(columns, cells)).folds[0].tables["mol"])
    cells[:15] = [{**row, "size": row["gene3"]} for row in cells[:15]]
    after = list(planned(world(columns, cells)).folds[0].tables["mol"])
    assert "gene3" in after
    assert after != before


def test_calls_of_screening_grow_with_cells_and_not_with_pairs_of_columns() -> None:
    """100 subjects, five tasks: cells are parsed one by one, columns set beside each other as matrices."""
    calls = []
    for many in (300, 600):
        columns = names(many)
        basis = basis_of(world(columns, cells_of(100, columns)))
        calls.append(count_calls(lambda basis=basis, columns=columns: screen_columns(basis, "mol", columns)))
    assert calls[1] / calls[0] < 2.2
    assert calls[1] < 15 * 100 * 600


def test_a_task_keeps_no_more_columns_than_its_answers_bear() -> None:
    """30 columns follow the size of 100 subjects, which bear ten of them; the weakest go."""
    columns, rng = names(600), np.random.default_rng(3)
    cells = cells_of(100, columns)
    for row in cells:
        for place, column in enumerate(columns[:30]):
            row[column] = f"{float(row['size']) + (0.4 + 0.04 * place) * rng.normal():.4f}"
    basis = basis_of(world(columns, cells, tasks=["size"]))
    found = screen_columns(basis, "mol", columns)
    assert len(found.kept) == 10
    assert set(found.kept) < set(columns[:20])
    assert "10 for size (100 known answers, 10 for each column)" in found.reason
    assert "or beyond the limit (" in found.reason
    assert found == screen_columns(basis, "mol", columns)


CLINIC = {"clinic": {"kind": "table", "columns": {"age": {"type": "number"}}}}


def test_noise_beside_another_input_goes_and_the_small_input_stays() -> None:
    """The bound promises at most one unrelated column on average; ten cohorts of 1,000 columns."""
    columns, kept = names(1000), []
    for seed in range(10):
        cells = [{**row, "age": str(i % 2)} for i, row in enumerate(cells_of(68, columns, seed))]
        cohort = world(columns, cells, tasks=["type"], inputs=CLINIC | molecular(columns))
        fold = planned(cohort).folds[0]
        assert list(fold.tables["clinic"]) == ["age"]
        kept.append(len(fold.tables["mol"]))
        if not kept[-1]:
            assert "none of 1000 numeric columns is kept: in at" in fold.why["tables.mol"]
    assert np.mean(kept) <= 1
    assert 0 in kept


def test_a_table_without_any_other_input_keeps_its_best_columns_and_warns() -> None:
    columns = names(1000)
    cohort = world(columns, cells_of(68, columns), tasks=["size"])
    fold = planned(cohort).folds[0]
    assert len(fold.tables["mol"]) == 6  # 65 training subjects
    assert "have nothing else to read. None of them is stable, so expect little" in fold.why["tables.mol"]


def test_visits_of_a_subject_are_not_counted_as_subjects() -> None:
    """Columns and answers that hardly differ between the eight visits of 20 subjects, unrelated to each other."""
    columns, rng = names(300), np.random.default_rng(5)
    rows: Cells = []
    for i, first in enumerate(cells_of(20, columns)):
        size = float(first["size"])
        rows += [
            {"subject": f"s{i}", "visit": v, "size": f"{size + 0.01 * rng.normal():.3f}"}
            | {c: f"{float(first[c]) + 0.01 * rng.normal():.4f}" for c in columns}
            for v in "abcdefgh"
        ]
    head = header(inputs=molecular(columns), tasks={"size": TASKS["size"]}, visits=list("abcdefgh"))
    assert len(screen_columns(basis_of(cohort_of(head, rows)), "mol", columns).kept) <= 2


def test_nothing_left_is_said_and_not_an_error() -> None:
    columns = names(70)
    cells = [{**row, **dict.fromkeys(columns, "1")} for row in cells_of(15, columns)]
    fold = planned(world(columns, cells)).folds[0]
    assert fold.tables["mol"] == {}
    assert "none of 70 numeric columns is kept: nothing is left to judge" in fold.why["tables.mol"]


def test_a_column_known_at_one_of_four_visits_is_filled() -> None:
    columns, rows = names(70), list[dict[str, str]]()
    for i, first in enumerate(cells_of(12, columns)):
        rows += [
            {"subject": f"s{i}", "visit": v, "size": first["size"]} | (first if v == "a" else {})
            for v in "abcd"
        ]
    head = header(inputs=molecular(columns), tasks={"size": TASKS["size"]}, visits=list("abcd"))
    assert "known for less" not in screen_columns(basis_of(cohort_of(head, rows)), "mol", columns).reason
    for row in rows[:28:4]:
        row.pop("gene5")
    found = screen_columns(basis_of(cohort_of(head, rows)), "mol", columns)
    assert "1 known for less than 50 % of the training subjects" in found.reason
    assert "gene5" not in found.kept
