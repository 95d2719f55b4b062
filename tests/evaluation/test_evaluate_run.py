"""Estimates of answers, put together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from polytask.cohort.cohort import Cohort
from polytask.cohort.splits import make_splits
from polytask.cohort.text_table import write_cases_table
from polytask.errors import PolytaskError
from polytask.evaluation import evaluate_run
from polytask.evaluation.evaluate_run import choose_operating_points, evaluate, evaluate_answers, predict_part
from polytask.evaluation.part_answers import CaseMetrics, PartAnswers
from polytask.plan import make_plan, write_plan
from polytask.plan.fingerprint import make_fingerprint
from polytask.plan.machine import GIB, Machine
from polytask.plan.plan_settings import set_values
from polytask.prepare.store_builder import prepare
from polytask.tasks import make_task
from polytask.tasks.task import Task
from polytask.training.decisions import read_decisions
from polytask.training.run import train
from tests.evaluation.worlds import items

SIZE: Task = make_task("size", {"kind": "regression", "level": "visit", "unit": "mm"})
MASK: Task = make_task("mask", {"kind": "segmentation", "structures": ["s"], "exclusive": True})
RECORD = {"name": "x", "fold": "2", "seed": 3, "sharing": "hard"}


def make_answers(sites: str = "AB") -> PartAnswers:
    size = items({"value": np.array([1.0, 2.0, 4.0, 4.0])}, [1.0, 3.0, 3.0, 5.0])
    rows = ({"n": 1.0, "dice": 1.0, "hd95": 2.0, "hd95.s": 2.0, "empty_truth.s": 0.0, "empty_answer.s": 1.0},)
    return PartAnswers(
        {f"s{k}": sites[k % len(sites)] for k in range(4)},
        {"size": size},
        {"mask": CaseMetrics((("s0", ""),), rows)},
        {},
    )


def test_an_evaluation_holds_what_was_judged() -> None:
    told: list[tuple[int, int, str]] = []
    tasks = {"size": SIZE, "mask": MASK}
    found = evaluate_answers(tasks, make_answers(), RECORD, "tune", 7, lambda *what: told.append(what))
    assert (found.run, found.fold, found.seed, found.sharing, found.part) == ("x", 2, 3, "hard", "tune")
    assert (found.subjects, found.resamples) == (("s0", "s1", "s2", "s3"), 7)
    assert found.metrics["size"]["mae"].estimate == 0.75
    assert found.counts["size"]["known"] == 4
    assert found.tasks["size"]["unit"] == "mm"
    assert {site: m["size"]["mae"].estimate for site, m in found.sites.items()} == {"A": 0.5, "B": 1.0}
    assert set(found.site_effects) == {"size"}
    assert told[0] == (0, 1, "intervals")
    assert [what for _, _, what in told][1:] == [
        "intervals of site A",
        "intervals of site B",
        "compare by site",
    ]


def test_a_distance_to_an_empty_mask_is_left_out() -> None:
    found = evaluate_answers({"mask": MASK}, make_answers(), RECORD, "tune", 7)
    assert np.isnan(found.metrics["mask"]["hd95"].estimate)
    assert found.counts["mask"]["missed"] == {"s": 1}


def test_the_progress_of_a_prediction_counts_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer to a whole subject is told too, but it is no further case."""
    first, second = object(), object()
    samples = [SimpleNamespace(cases=[first, second])]
    collected: list[str] = []

    class Collector:
        def __init__(self, *of: Any) -> None:
            pass

        def __call__(self, answer: Any) -> None:
            collected.append(answer.visit)

        def answers(self, samples: Any) -> str:
            return f"{len(samples)} sample"

    def write(*of: Any, tta: bool, on_answer: Any) -> None:
        for visit, case in (("t0", first), ("t1", second), ("", None)):
            on_answer(SimpleNamespace(subject="s0", visit=visit, case=case))

    monkeypatch.setattr(evaluate_run, "AnswerCollector", Collector)
    monkeypatch.setattr(evaluate_run, "write_predictions", write)
    cohort: Any = SimpleNamespace(samples=lambda subjects: samples)
    chosen: Any = SimpleNamespace(subjects=("s0",), folder=None)
    predictor: Any = SimpleNamespace(tasks={})
    told: list[tuple[int, int, str]] = []
    found: Any = predict_part(predictor, cohort, chosen, progress=lambda *what: told.append(what))
    assert told == [(1, 2, "s0"), (2, 2, "s0"), (2, 2, "s0")]
    assert (collected, found) == (["t0", "t1", ""], "1 sample")


def test_one_resample_is_the_fewest() -> None:
    assert evaluate_answers({"size": SIZE}, make_answers(), RECORD, "tune", 1).resamples == 1
    with pytest.raises(PolytaskError, match="resamples is 0; expected 1 or more"):
        evaluate_answers({"size": SIZE}, make_answers(), RECORD, "tune", 0)


def test_usual_intervals_have_a_thousand_resamples() -> None:
    assert evaluate_answers({"size": SIZE}, make_answers("A"), RECORD, "tune").resamples == 1000


def test_thresholds_are_chosen_on_a_tune_part_that_is_predicted_when_it_is_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = make_task("two", {"kind": "classification", "level": "visit", "classes": ["no", "yes"]})
    p = np.linspace(0.05, 0.95, 20)
    found = items({"p": np.stack([1 - p, p], 1)}, np.arange(20) >= 8)
    answers = PartAnswers({f"s{k}": "" for k in range(20)}, {"two": found}, {}, {})
    asked: list[tuple[str, bool]] = []

    def predict(record: Any, part: str, tta: bool, *rest: Any) -> None:
        asked.append((part, tta))
        (tmp_path / "tune").mkdir(exist_ok=True)
        answers.write(tmp_path / "tune" / "answers.json")
        judged = evaluate_answers({"two": two}, answers, RECORD, "tune", 5)
        replace(judged, tta=tta, weights={"": "seal"}).write(tmp_path / "tune" / "evaluation.json")

    monkeypatch.setattr(evaluate_run, "_evaluate_locked", predict)
    run: Any = SimpleNamespace(folder=tmp_path, weights={"": "seal"})
    choose_operating_points(run, {"two": two}, ["two=0.9"], [])
    choose_operating_points(run, {"two": two}, [], ["two=0.75"])
    assert asked == [("tune", False)], "the second time it is there"
    points = read_decisions(tmp_path).points["two"]
    assert [(q.aim, q.target, q.n, q.positives) for q in points] == [
        ("sensitivity", 0.9, 20, 12),
        ("specificity", 0.75, 20, 12),
    ]
    choose_operating_points(run, {"two": two}, ["two=0.8"], [], tta=True)
    run.weights = {"": "other"}
    choose_operating_points(run, {"two": two}, ["two=0.8"], [], tta=True)
    assert asked == [("tune", False), ("tune", True), ("tune", True)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of training on two tables of one number each; it has learned nothing."""
    folder = tmp_path_factory.mktemp("tables")
    (folder / "cohort").mkdir()
    (folder / "work").mkdir()
    tables = {
        name: {"kind": "table", "columns": {column: {"type": "number"}}}
        for name, column in (("clinic", "age"), ("blood", "iron"))
    }
    header = {
        "polytask": 1,
        "name": "tables",
        "inputs": tables,
        "tasks": {"pcr": {"kind": "classification", "classes": ["no", "yes"]}},
    }
    (folder / "cohort/cohort.yaml").write_text(yaml.safe_dump(header))
    rows = [
        {"subject": f"s{k:03}", "age": f"{40 + k % 31}", "iron": f"{5 + k % 3}", "pcr": ["no", "yes"][k % 2]}
        for k in range(120)
    ]
    write_cases_table(folder / "cohort/cases.csv", list(rows[0]), rows)
    cohort = Cohort.read(folder / "cohort")
    splits = make_splits(cohort, folds=2)
    splits.write(folder / "work/splits.json")
    plan = make_plan(cohort, make_fingerprint(cohort, 1), splits, machine=Machine(1, 8 * GIB))
    quick = ["training.threads=1", "training.epochs=1", "training.steps_per_epoch=2", "training.workers=0"]
    write_plan(set_values(plan, quick), folder / "work")
    prepare(folder / "work", 1)
    return train(folder / "work", name="r", device="cpu").folder


def test_inputs_are_hidden_on_the_held_out_part_unless_that_is_not_wanted(run: Path) -> None:
    for part, hidden, expected in (
        ("held_out", True, {"clinic", "blood"}),
        ("held_out", False, set[str]()),
        ("tune", True, set[str]()),
    ):
        found = evaluate(run, part, resamples=2, device="cpu", hidden=hidden)  # type: ignore[arg-type]
        assert set(found.hidden) == expected, (part, hidden)
        assert found.test_touched == 0


@pytest.mark.parametrize("aim", ["sensitivity", "specificity"])
def test_points_of_either_aim_are_chosen_and_judged_in_one_call(run: Path, aim: str) -> None:
    (run / "decisions.json").unlink(missing_ok=True)
    asked: Any = {aim: ["pcr=0.5"]}
    evaluate(run, "held_out", resamples=2, device="cpu", hidden=False, **asked)
    (point,) = read_decisions(run).points["pcr"]
    assert (point.aim, point.target) == (aim, 0.5)
