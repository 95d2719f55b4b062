"""The battery that every kind passes by being registered."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields as fields_of_class
from typing import Any

import numpy as np
import pytest

from polytask.kinds import KINDS, find_constant
from polytask.kinds.cell_readers import UnreadableCell
from polytask.kinds.kind import IncompleteAnswer, MissingInTrain, TrainVoxels, ValuePool
from polytask.kinds.plan_reasons import PlanReasons
from polytask.tasks.task_registry import load_task_class, make_task
from tests.kinds.worlds import TABLE_WORLDS, Cells, TableWorld

VOXEL_SPECS: dict[str, dict[str, Any]] = {
    "segmentation": {"image": "ct", "structures": ["liver", "tumor"]},
    "dose": {"image": "ct", "unit": "Gy"},
    "map": {"image": "ct", "unit": "mm"},
}


def make_spec(name: str) -> Any:
    says = TABLE_WORLDS[name].says if name in TABLE_WORLDS else VOXEL_SPECS[name]
    return KINDS[name].spec.model_validate({"kind": name, **says})


def make_reader(cells: Cells) -> Callable[[str, Callable[[str], Any]], Any]:
    return lambda column, parse: parse(cells[column]) if column in cells else None


def list_known(world: TableWorld) -> list[Any]:
    return [value for _, value in world.items if value is not None]


class TwoDoses(ValuePool):
    cases = 2

    def quantile(self, q: float) -> float:
        return 60 * q

    def deviation(self) -> float:
        return 15.0


class Record:
    """Masks of one case: a liver, and a tumor in every second case."""

    def __init__(self, tumor: int) -> None:
        self.counts = {"liver": 200, "tumor": tumor}
        self.totals = {"none": 1000}
        self.sizes = {"liver": (10.0, 20.0)} | ({"tumor": (2.0, 2.0)} if tumor else {})


def decide(name: str) -> tuple[dict[str, Any], PlanReasons]:
    why = PlanReasons()
    if name in TABLE_WORLDS:
        return KINDS[name].decide_fields(make_spec(name), list_known(TABLE_WORLDS[name]), why), why
    train = TrainVoxels([Record(0), Record(10)], "none", TwoDoses(), (1.0, 3.0), "mm", [], "cases.csv", bool)
    return KINDS[name].decide_fields(make_spec(name), train, why), why


def test_every_kind_has_a_world_and_its_name() -> None:
    assert set(TABLE_WORLDS) | set(VOXEL_SPECS) == set(KINDS)
    assert all(kind.name == name for name, kind in KINDS.items())
    assert {n for n, kind in KINDS.items() if kind.level == "voxel"} == set(VOXEL_SPECS)


@pytest.mark.parametrize("name", KINDS)
def test_header_plan_and_task_name_the_same_kind(name: str) -> None:
    kind, task = KINDS[name], load_task_class(name)
    assert kind.spec.model_fields["kind"].annotation == kind.fields.model_fields["kind"].annotation
    assert set(kind.fields.model_fields) - {"kind"} == {f.name for f in fields_of_class(task)} - {"name"}
    assert (kind.name, kind.primary) == (task.kind, task.primary)
    assert all({a, b} <= set(kind.fields.model_fields) for a, b in kind.fields.lengths.items())
    assert kind.summary_field in kind.fields.model_fields


@pytest.mark.parametrize("name", KINDS)
def test_decided_fields_are_valid_have_reasons_and_make_a_task(name: str) -> None:
    decided, why = decide(name)
    kind = KINDS[name]
    assert kind.fields.model_validate(decided).model_dump() == decided
    assert kind.summary_field in why.reasons
    assert "constant" in why.reasons
    assert f"primary metric: {kind.primary}" in why.reasons[""]
    assert decided["constant"] > 0
    assert make_task("t", decided).outputs >= 1


@pytest.mark.parametrize("name", KINDS)
def test_the_constant_follows_edited_fields_or_is_left_alone(name: str) -> None:
    decided, _ = decide(name)
    found = find_constant(decided)
    assert found is None or found == pytest.approx(decided["constant"], rel=0.02)
    assert find_constant({"kind": name}) is None


@pytest.mark.parametrize("name", TABLE_WORLDS)
def test_cells_are_read_as_the_world_says(name: str) -> None:
    kind, spec, world = KINDS[name], make_spec(name), TABLE_WORLDS[name]
    for cells, value in world.items:
        assert kind.read_answer(spec, "t", make_reader(cells)) == value
    parsers = kind.list_parsers(spec, "t")
    assert set(kind.list_columns(spec, "t")) == set(parsers)
    assert set(kind.list_measured_columns(spec, "t")) <= set(parsers)
    for column, cell in world.odd:
        with pytest.raises(UnreadableCell):
            parsers[column](cell)


@pytest.mark.parametrize("name", TABLE_WORLDS)
def test_arrays_hold_the_answers_and_say_what_is_known(name: str) -> None:
    kind, spec, world = KINDS[name], make_spec(name), TABLE_WORLDS[name]
    values = [value for _, value in world.items]
    array, known = kind.make_arrays(spec, values)
    assert len(array) == len(known) == len(values)
    assert known.dtype == np.bool_
    assert array.dtype in (np.float32, np.int64)
    for value, row, there in zip(values, array, known, strict=True):
        told = [v for v in value if v is not None] if isinstance(value, tuple) else [value]
        assert there.any() == (value is not None)
        if value is None:
            assert not row.any()
        elif known.ndim == 2:
            assert row[there].tolist() == told
        else:
            assert np.atleast_1d(row).tolist() == told
    alone, _ = kind.make_arrays(spec, values[:1])
    assert alone.shape == (1, *array.shape[1:])


@pytest.mark.parametrize("name", TABLE_WORLDS)
def test_every_need_is_met_by_the_strata_of_the_world(name: str) -> None:
    kind, spec, world = KINDS[name], make_spec(name), TABLE_WORLDS[name]
    answers = {f"s{k}": [value] for k, value in enumerate(list_known(world))}
    strata = kind.list_strata(spec, answers)
    assert set(strata) == set(answers)
    found = set().union(*strata.values())
    for need in kind.list_needs(spec, "t", "t"):
        assert need.word in found
        assert need.column in kind.list_columns(spec, "t")
        assert need.what
        assert need.remedy


@pytest.mark.parametrize("name", TABLE_WORLDS)
def test_a_train_part_without_answers_is_refused(name: str) -> None:
    with pytest.raises(MissingInTrain):
        KINDS[name].decide_fields(make_spec(name), [], PlanReasons())


def test_a_time_without_an_event_is_no_answer() -> None:
    with pytest.raises(IncompleteAnswer, match="t has no event"):
        KINDS["survival"].read_answer(make_spec("survival"), "t", make_reader({"t_time": "3"}))


def test_no_kind_loads_torch() -> None:
    code = "import sys, polytask.kinds; assert not {'torch', 'sklearn', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
