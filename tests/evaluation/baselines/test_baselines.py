"""Simple models of a cohort: fitted on train alone, applied by their coefficients alone, judged beside the network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.splits import Splits, make_splits
from polytask.cohort.text_table import read_text_table, write_cases_table
from polytask.errors import PolytaskError
from polytask.evaluation.baselines.apply_baseline import answer_with_baseline, apply_baseline
from polytask.evaluation.baselines.baseline_inputs import select_readable_cases
from polytask.evaluation.baselines.fit_baselines import BaselineEntry, fit_baselines
from polytask.evaluation.baselines.judge_baselines import judge_baselines
from polytask.evaluation.part_answers import PartAnswers
from polytask.plan import make_plan, write_plan
from polytask.plan.fingerprint import make_fingerprint
from polytask.plan.machine import Machine
from polytask.plan.plan_schema import FoldPlan, Plan
from polytask.prepare.store import Store
from polytask.prepare.store_builder import prepare
from tests.evaluation.given.test_given import collected
from tests.evaluation.worlds import Someone, phantom, tasks_of


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("baselines")


@pytest.fixture(scope="module")
def cohort(place: Path) -> Cohort:
    return phantom(place / "cohort", subjects=36)


@pytest.fixture(scope="module")
def work(cohort: Cohort, place: Path) -> Path:
    work = place / "work"
    work.mkdir()
    splits = make_splits(cohort, folds=3)
    splits.write(work / "splits.json")
    write_plan(make_plan(cohort, make_fingerprint(cohort, 1), splits, machine=Machine(1, 8 * 2**30)), work)
    prepare(work, 1)
    return work


def plan_of(work: Path) -> FoldPlan:
    return Plan.read(work).folds[0]


@pytest.fixture(scope="module")
def fitted(cohort: Cohort, work: Path) -> list[BaselineEntry]:
    train = Splits.read(work / "splits.json").folds[0].train
    return fit_baselines(cohort, tasks_of(cohort), plan_of(work), train, Store(work / "store"))


def one(fitted: list[BaselineEntry], task: str, name: str = "table") -> BaselineEntry:
    return next(b for b in fitted if (b["task"], b["name"]) == (task, name))


def test_every_pooled_task_has_a_table_model_and_one_for_each_mask(fitted: list[BaselineEntry]) -> None:
    names = {(b["task"], b["name"]) for b in fitted}
    pooled = {"grade", "pattern", "findings", "diameter", "os", "response"}
    assert {t for t, n in names if n == "table"} == pooled
    assert {t for t, n in names if n == "volume of lesion"} == pooled
    assert json.loads(json.dumps(fitted)) == fitted, "plain: it travels in a bundle"


def test_no_subject_travels(fitted: list[BaselineEntry], cohort: Cohort) -> None:
    text = json.dumps(fitted)
    assert not any(f'"{s}"' in text for s in cohort.subjects)


def test_held_out_cells_change_no_coefficient(
    fitted: list[BaselineEntry], cohort: Cohort, work: Path, tmp_path: Path
) -> None:
    fold = Splits.read(work / "splits.json").folds[0]
    table = read_text_table(cohort.table)
    changed = []
    for row in table.rows:
        cells = dict(row.cells)
        if cells["subject"] not in fold.train:
            cells |= {
                "age": "99",
                "marker": "-50",
                "sex": "female",
                "grade": "G3",
                "response": "yes",
                "os_time": "1",
            }
        changed.append(cells)
    write_cases_table(tmp_path / "cases.csv", list(table.columns), changed)
    other = Cohort.from_table(cohort.header, tmp_path / "cases.csv")
    again = fit_baselines(other, tasks_of(cohort), plan_of(work), fold.train, Store(work / "store"))
    assert again == fitted


def test_a_train_cell_does(fitted: list[BaselineEntry], cohort: Cohort, work: Path) -> None:
    train = Splits.read(work / "splits.json").folds[0].train
    fewer = fit_baselines(cohort, tasks_of(cohort), plan_of(work), train[1:], None)
    assert one(fewer, "diameter") != one(fitted, "diameter")


def test_an_answer_is_coefficients_times_features(fitted: list[BaselineEntry], cohort: Cohort) -> None:
    model = one(fitted, "diameter")
    case = next(
        c for c in cohort.cases if c.cells.get("marker") and c.cells.get("age") and c.cells.get("sex")
    )
    columns = model["inputs"]["tables"]["clinic"]
    age, marker = ((float(case.cells[c]) - columns[c]["mean"]) / columns[c]["sd"] for c in ("age", "marker"))
    raw = {"clinic.age": age, "clinic.marker": marker}
    raw |= {f"clinic.sex = {v}": float(case.cells["sex"] == v) for v in columns["sex"]["values"]}
    x = np.array([raw[f] for f in model["features"]])
    z = (x - np.array(model["center"])) / np.array(model["scale"])
    expected = float(np.array(model["coefficients"][0]) @ z + model["intercepts"][0])
    found = apply_baseline(model, cohort, [case])
    assert found is not None
    assert found["value"][0] == pytest.approx(expected, rel=1e-5)


def test_probabilities_sum_to_one_and_a_case_without_cells_has_no_answer(
    fitted: list[BaselineEntry], cohort: Cohort
) -> None:
    for task in ("grade", "pattern"):
        ids, found = answer_with_baseline(
            [one(fitted, task)], cohort, [(c.subject, c.visit) for c in cohort.cases], {}
        )
        assert found["p"].sum(1) == pytest.approx(np.ones(len(ids)))
    case = cohort.cases[0]
    bare = type(case)(**{**vars(case), "cells": {}})
    without = Cohort(cohort.header, cohort.root, cohort.table, cohort.columns, (bare,))
    assert apply_baseline(one(fitted, "grade"), without, [bare]) is None
    assert apply_baseline(one(fitted, "grade", "volume of lesion"), cohort, [case], {}) is None


def test_a_subject_task_reads_the_mean_of_its_visits(fitted: list[BaselineEntry], cohort: Cohort) -> None:
    model = one(fitted, "response")
    subject = next(s for s, cases in cohort.subjects.items() if len(cases) == 2)
    cases = select_readable_cases(cohort, "response", (subject, ""), model["visits"])
    assert len(cases) == 2
    scores = []
    for some in ([cases[0]], [cases[1]], cases):
        found = apply_baseline(model, cohort, some)
        assert found is not None
        scores.append(float(np.log(found["p"][0, 1] / found["p"][0, 0])))
    if all(c.cells.get("marker") for c in cases):
        assert scores[2] == pytest.approx((scores[0] + scores[1]) / 2, rel=1e-5)
    os_cases = select_readable_cases(cohort, "os", (subject, ""), one(fitted, "os")["visits"])
    assert [c.visit for c in os_cases] == ["baseline"], "survival reads what its header names"


def test_they_are_judged_beside_the_network_on_the_same_cases(
    fitted: list[BaselineEntry], cohort: Cohort, work: Path
) -> None:
    held_out = list(Splits.read(work / "splits.json").folds[0].held_out)
    answers = collected(Someone(cohort, 0.7), cohort, held_out)
    found = judge_baselines(tasks_of(cohort), answers, cohort, [fitted], 20)
    assert set(found) == {"grade", "pattern", "findings", "diameter", "os", "response"}
    entry = found["diameter"]["table"]
    ids, prediction = answer_with_baseline(
        [one(fitted, "diameter")], cohort, answers.pooled["diameter"].ids, {}
    )
    items = answers.only({"diameter": ids}).pooled["diameter"]
    r2 = tasks_of(cohort)["diameter"].metrics(prediction, items.value, items.known)["r2"]  # type: ignore[attr-defined]
    assert entry["estimate"]["estimate"] == pytest.approx(r2)
    assert entry["difference"]["estimate"] == pytest.approx(entry["network"] - r2)
    assert entry["fitted_on"] == one(fitted, "diameter")["n"]
    assert "volume of lesion" in found["diameter"], "answered by the volumes that the network's masks have"


def test_volumes_are_written_and_read_with_the_answers(cohort: Cohort, tmp_path: Path) -> None:
    answers = collected(Someone(cohort, 1.0), cohort, list(cohort.subjects)[:4])
    answers.write(tmp_path / "answers.json")
    assert PartAnswers.read(tmp_path / "answers.json").volumes == answers.volumes
    who = answers.voxel["lesion"].ids[0]
    truth = answers.voxel["lesion"].metrics[0]["volume.lesion"]
    assert answers.volumes["lesion"][who]["lesion"] == pytest.approx(truth)


def test_coefficients_of_another_form_are_one_line(fitted: list[BaselineEntry], cohort: Cohort) -> None:
    broken = {**one(fitted, "grade"), "center": [0.0] * 99}
    with pytest.raises(PolytaskError, match="cannot be applied") as raised:
        apply_baseline(broken, cohort, cohort.cases[:1])
    assert "\n" not in str(raised.value)
