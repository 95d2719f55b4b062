"""Rows that are parsed once give at every step what parsing the cells again would give."""

from __future__ import annotations

import pickle
import random
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from polytask.cohort.cell_values import column_value, list_column_values, pooled_value
from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.header import Header
from polytask.errors import PolytaskError
from polytask.kinds import find_pooled_kind
from polytask.plan.plan_schema import ColumnPlan
from polytask.prepare.sample_table import SampleTable
from polytask.prepare.slot_assignment import assign_visit_slots
from polytask.prepare.table_encoding import encode_table_cells

POOLED = {
    "grade": {"kind": "ordinal", "order": ["G1", "G2", "G3"]},
    "tissue": {"kind": "classification", "classes": ["a", "b"]},
    "findings": {"kind": "multilabel", "labels": ["x", "y"]},
    "size": {"kind": "regression"},
    "nodes": {"kind": "count"},
}
COLUMNS = {
    "age": ColumnPlan(type="number", mean=61.3, sd=7.7, group="person"),
    "stage": ColumnPlan(type="category", values=["I", "II", "III"]),
    "height": ColumnPlan(type="number", mean=1.7, sd=0.0, group="person"),
    "gene": ColumnPlan(type="category", values=["wt"]),
    "marker": ColumnPlan(type="number", mean=1e-3, sd=1e-4),
}
"""Groups are mixed, `height` is constant in the training part, and `gene` has a value that the fold does not know."""
HEADER: dict[str, Any] = {
    "polytask": 1,
    "name": "w",
    "visits": ["first", "second", "third"],
    "inputs": {
        "clinic": {
            "kind": "table",
            "columns": {
                "age": {"type": "number", "level": "subject"},
                "stage": {"type": "category", "values": ["I", "II", "III"]},
                "height": {"type": "number"},
                "gene": {"type": "category", "level": "subject"},
                "marker": {"type": "number", "bounds": True},
                "unused": {"type": "number"},
            },
        }
    },
    "tasks": {
        **{f"{name}_v": {**task, "level": "visit"} for name, task in POOLED.items()},
        **{f"{name}_s": {**task, "level": "subject"} for name, task in POOLED.items()},
        "os": {"kind": "survival", "unit": "days"},
    },
}
WORDS = {
    **{"age": ["61", "70.25"], "stage": ["I", "III", "II"], "height": ["1.7", "1.81"], "gene": ["wt", "mut"]},
    **{"marker": [">0.002", "0.0013"], "unused": ["not read"]},
    **{"grade": ["G1", "G3"], "tissue": ["a", "b"], "size": ["0.1", "-3e5"], "nodes": ["0", "12"]},
    **{"findings.x": ["0", "1"], "findings.y": ["1"]},
}


def write_cohort(folder: Path, subjects: int = 40) -> Cohort:
    """Three visits, of which some are missing, and cells of which half are unknown."""
    draw = random.Random(3)
    answers = [
        f"{stem}_{level}{dot}{label}"
        for column in ("grade", "tissue", "size", "nodes", "findings.x", "findings.y")
        for stem, dot, label in [column.partition(".")]
        for level in "vs"
    ]
    columns = ["age", "stage", "height", "gene", "marker", "unused", *answers]
    lines = [",".join(["subject", "visit", "day", *columns, "os_time", "os_event"])]
    for number in range(subjects):
        visits = [v for v in HEADER["visits"] if draw.random() < 0.7] or ["second"]
        for visit in visits:
            words = []
            for column in columns:
                choice = WORDS[column.replace("_v", "").replace("_s", "")]
                words.append(draw.choice(choice) if draw.random() < 0.5 else "")
            if number % 4:
                words += ["", ""]
            else:
                words += [str(100 + number), str(number % 8 // 4)]
            lines.append(",".join([f"s{number}", visit, "", *words]))
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    return Cohort.from_table(Header.model_validate(HEADER), folder / "cases.csv")


def make_schema(cohort: Cohort, max_visits: int, columns: dict[str, ColumnPlan] = COLUMNS) -> Any:
    """The part of a batch's schema that the table needs."""
    return SimpleNamespace(
        pooled=tuple(cohort.header.tasks),
        tasks=tuple(cohort.header.tasks),
        plan=SimpleNamespace(shared=SimpleNamespace(max_visits=max_visits)),
        fold=SimpleNamespace(tables={"clinic": columns}),
    )


def parse_target(cohort: Cohort, name: str, cases: Sequence[Case | None]) -> tuple[np.ndarray, np.ndarray]:
    """Value and known of one sample, straight from the text of its cells."""
    task: Any = cohort.header.tasks[name]
    if task.level == "subject":
        cases = [next(case for case in cases if case is not None)]
    values = [None if case is None else pooled_value(cohort, (case,), name) for case in cases]
    value, known = find_pooled_kind(task.kind).make_arrays(task, values)
    return (value[0], known[0]) if task.level == "subject" else (value, known)


@pytest.mark.parametrize("max_visits", [1, 2, 3])
def test_every_row_is_what_parsing_its_cells_gives(tmp_path: Path, max_visits: int) -> None:
    cohort = write_cohort(tmp_path)
    samples = cohort.samples()
    table = SampleTable(cohort, samples, make_schema(cohort, max_visits))
    some_known, some_unknown = set(), set()
    for index in [*range(len(samples)), *reversed(range(len(samples)))]:
        row, slots = table[index], assign_visit_slots(cohort, samples[index], max_visits)
        assert row.subject == samples[index].subject
        assert row.visits == slots.visits
        assert row.keys == tuple(None if case is None else case.key for case in slots.cases)
        assert torch.equal(row.day, torch.tensor([slots.day]))
        for name, target in row.targets.items():
            value, known = (torch.from_numpy(np.asarray(a)) for a in parse_target(cohort, name, slots.cases))
            assert target.value.dtype == value.dtype
            assert torch.equal(target.value, value[None])
            assert torch.equal(target.known, known[None])
            (some_known if known.any() else some_unknown).add(name)
        values, known = row.tables["clinic"]
        for slot, case in enumerate(slots.cases):
            cells = {} if case is None else {c: column_value(cohort, (case,), "clinic", c) for c in COLUMNS}
            expected, flags = encode_table_cells(cells, COLUMNS)
            assert values.dtype == torch.float32
            assert torch.equal(values[0, slot], torch.from_numpy(expected))
            assert torch.equal(known[0, slot], torch.from_numpy(flags))
    assert some_known == some_unknown == set(cohort.header.tasks)


def test_a_row_can_be_changed_without_changing_the_table(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path, 4)
    table = SampleTable(cohort, cohort.samples(), make_schema(cohort, 3))
    for tensor in (table[0].targets["os"].value, table[0].day, table[0].tables["clinic"][0]):
        tensor.fill_(77)
    assert not any((t == 77).any() for t in (table[0].targets["os"].value, table[0].day))
    assert not (table[0].tables["clinic"][0] == 77).any()


def test_a_table_of_which_no_column_is_kept_has_rows_without_features(tmp_path: Path) -> None:
    """Screening may keep none of the columns."""
    cohort = write_cohort(tmp_path, 4)
    table = SampleTable(cohort, cohort.samples(), make_schema(cohort, 3, {}))
    values, known = table[1].tables["clinic"]
    assert values.shape == known.shape == (1, 3, 0)


def test_known_samples_are_those_with_a_known_visit(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path)
    samples = cohort.samples()
    table = SampleTable(cohort, samples, make_schema(cohort, 3))
    for name in cohort.header.tasks:
        expected = [bool(table[index].targets[name].known.any()) for index in range(len(samples))]
        assert table.list_known(name).tolist() == expected


@pytest.mark.parametrize("name", ["grade_v", "grade_s"])
def test_the_classes_of_a_sample_are_those_of_its_known_visits(tmp_path: Path, name: str) -> None:
    cohort = write_cohort(tmp_path)
    samples = cohort.samples()
    table = SampleTable(cohort, samples, make_schema(cohort, 3))
    targets = [table[index].targets[name] for index in range(len(samples))]
    expected = {(v, index) for index, t in enumerate(targets) for v in t.value[t.known].tolist()}
    assert table.list_shown_classes(name).tolist() == sorted(map(list, expected))
    assert {grade for grade, _ in expected} == {0, 2}, "no cell says G2"


def test_a_table_is_small_when_it_is_sent_to_a_worker(tmp_path: Path) -> None:
    """Neither cells as text nor one-hot categories travel."""
    cohort = write_cohort(tmp_path, 300)
    many = ColumnPlan(type="category", values=["wt", *map(str, range(5000))])
    table = SampleTable(cohort, cohort.samples(), make_schema(cohort, 3, {**COLUMNS, "gene": many}))
    sent = pickle.dumps(table)
    assert len(sent) < 300 * 700
    values, known = pickle.loads(sent)[1].tables["clinic"]
    assert values.shape == known.shape == (1, 3, 5007)
    assert torch.equal(values, table[1].tables["clinic"][0])


def test_a_column_is_read_as_its_cells_one_by_one(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path)
    for column in COLUMNS:
        expected = [column_value(cohort, (case,), "clinic", column) for case in cohort.cases]
        assert list_column_values(cohort, cohort.cases, "clinic", column) == expected


def test_an_unreadable_cell_is_named_with_its_place(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path, 3)
    columns = {"unused": ColumnPlan(type="number")}
    with pytest.raises(
        PolytaskError, match=r"row \d+, subject s\d, column unused: 'not read' is not a number"
    ):
        SampleTable(cohort, cohort.samples(), make_schema(cohort, 3, columns))
