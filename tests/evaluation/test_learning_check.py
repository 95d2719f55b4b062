"""A run that learned nothing says so first; one that learned does not."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from polytask.cli import app
from polytask.cohort.phantom import make_phantom
from polytask.evaluation import learning_check
from polytask.evaluation.evaluation_result import Estimate
from polytask.evaluation.learning_check import (
    LearningCheck,
    check_learning,
    find_constant_answers,
    read_final_losses,
)
from polytask.evaluation.part_answers import CaseMetrics, PartAnswers
from polytask.inference.pooled_answers import PooledAnswers
from polytask.tasks import make_task
from polytask.tasks.task import Task
from polytask.training.folder import Run
from tests.evaluation.worlds import answers as collected
from tests.evaluation.worlds import items

N = 12
WHO = tuple((f"{k:03}", "") for k in range(N))
TASKS: dict[str, Task] = {
    "grade": make_task("grade", {"kind": "ordinal", "level": "visit", "classes": ["G1", "G2", "G3"]}),
    "pcr": make_task("pcr", {"kind": "classification", "level": "visit", "classes": ["no", "yes"]}),
    "finds": make_task("finds", {"kind": "multilabel", "level": "visit", "labels": ["a", "b"]}),
    "size": make_task("size", {"kind": "regression", "level": "visit", "unit": "mm"}),
    "os": make_task("os", {"kind": "survival", "level": "subject", "horizons": [365.0], "unit": "days"}),
    "mask": make_task(
        "mask", {"kind": "segmentation", "level": "voxel", "structures": ["core"], "exclusive": True}
    ),
}


def pooled(
    prediction: dict[str, np.ndarray], value: np.ndarray, known: np.ndarray | None = None
) -> PooledAnswers:
    return PooledAnswers(WHO, prediction, value, np.ones(value.shape[:1], bool) if known is None else known)


def answers(same: bool) -> PartAnswers:
    """Everybody answered alike, or each differently."""
    rng = np.random.default_rng(0)
    vary = np.zeros(N) if same else rng.uniform(-1, 1, N)
    two = np.stack([0.6 + 0.3 * vary, 0.4 - 0.3 * vary], 1)
    three = np.stack([0.3 + 0.3 * vary, np.full(N, 0.4), 0.3 - 0.3 * vary], 1)
    truth = np.arange(N)
    empty = [{"n": 1.0, "empty_truth.core": 0.0, "empty_answer.core": float(same or k > 0)} for k in range(N)]
    return PartAnswers(
        {s: "" for s, _ in WHO},
        {
            "grade": pooled({"p": three}, truth % 3),
            "pcr": pooled({"p": two}, truth % 2),
            "finds": pooled(
                {"p": two}, np.stack([truth % 2, truth % 3 == 0], 1).astype(float), np.ones((N, 2), bool)
            ),
            "size": pooled({"value": 20 + 5 * vary}, truth.astype(float)),
            "os": pooled({"risk": vary, "p": two[:, :1]}, np.stack([truth + 1.0, truth % 2], 1)),
        },
        {"mask": CaseMetrics(WHO, tuple(empty))},
        {},
    )


def test_the_same_answer_for_everybody_is_seen() -> None:
    assert find_constant_answers(TASKS, answers(same=True)) == {
        "grade": "always answers G2",
        "pcr": "always answers no",
        "finds": "the same labels for every case",
        "size": "the same number for every case",
        "os": "the same risk for everybody",
        "mask": f"no mask predicted in any of {N} cases",
    }
    assert find_constant_answers(TASKS, answers(same=False)) == {}


def test_one_class_is_no_fault_where_there_is_only_one() -> None:
    found = answers(same=True)
    found.pooled["pcr"].value[:] = 0
    assert "pcr" not in find_constant_answers(TASKS, found)


def test_the_loss_at_the_end_is_a_mean_over_the_last_epochs() -> None:
    entries = [{"step": 10 * k, "loss": {"a": a, "norm": 1.0}} for k, a in enumerate([1, 1, 1, 1, 0.5, 0.3])]
    entries.insert(2, {"step": 15, "gradients": {}})
    assert read_final_losses({"": entries}, {"": ["a", "b"]})["a"] == pytest.approx(0.4)
    assert np.isnan(read_final_losses({"": entries}, {"": ["a", "b"]})["b"])


def test_words() -> None:
    learned = LearningCheck({}, {}, 600, 600)
    assert learned.list_verdicts() == ()
    assert LearningCheck({}, {}, 38, 6068).list_verdicts() == ("Short training: 38 of 6,068 planned steps.",)
    (nothing,) = LearningCheck({"os": "the same risk for everybody"}, {}, 38, 6068).list_verdicts()
    assert nothing.startswith("Nothing learned yet on os (trained 38 of 6,068 planned steps). os: the same")
    assert (
        LearningCheck({}, {"pcr": "no"}, 1, 1).list_verdicts()[0].startswith("pcr answers no for every case")
    )


@pytest.fixture(scope="module")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of training: nothing can be learned."""
    folder = tmp_path_factory.mktemp("short")
    make_phantom(folder / "c", subjects=10, size=24)
    runner = CliRunner()
    work = str(folder / "w")
    plan = ["plan", str(folder / "c"), "-o", work, "--folds", "2"]
    for command in (plan, ["prepare", work]):
        assert runner.invoke(app, command).exit_code == 0
    said = runner.invoke(
        app, ["train", work, "--name", "r", "--steps", "2", "--tasks", "lesion,grade,pattern"]
    )
    assert said.exit_code == 0
    assert "Nothing learned yet on" in said.output
    return folder / "w" / "runs" / "r"


def test_a_run_of_two_steps_says_so_first(short_run: Path) -> None:
    said = CliRunner().invoke(app, ["evaluate", str(short_run)])
    assert said.exit_code == 0
    assert said.output.startswith("Nothing learned yet on")
    assert "(trained 2 of" in said.output
    document = json.loads((short_run / "evaluation.json").read_text())
    assert document["verdicts"][0].startswith("Nothing learned yet on")
    diagnosed = CliRunner().invoke(app, ["doctor", str(short_run)])
    assert "nothing learned yet on" in diagnosed.output
    assert "after 2 of" in diagnosed.output


def test_a_task_clearly_above_chance_counts_as_learned(short_run: Path) -> None:
    """The loss of a weak but real signal stays near a constant answer's; its metric shows that it is one."""
    run = Run.read(short_run)
    tasks = {n: TASKS["pcr"] if n == "pattern" else TASKS["grade"] for n in ("pattern", "grade")}
    above = {n: Estimate(0.3, 0.1, 0.5, 60) for n in tasks}
    alone = Run(run.folder, {**run.record, "networks": {"": list(tasks)}})
    assert set(check_learning(alone, tasks).unlearned) == {"pattern", "grade"}
    assert check_learning(alone, tasks, skills=above).unlearned == {}
    chance = {n: Estimate(0.3, -0.1, 0.5, 60) for n in tasks}
    assert set(check_learning(alone, tasks, skills=chance).unlearned) == {"pattern", "grade"}


def test_the_same_number_is_seen_in_every_unit() -> None:
    task = make_task("t", {"kind": "regression", "level": "subject"})
    truth = np.array([0.001, 0.002, 0.004])
    for unit in (1.0, 1e6):
        same = items({"value": np.full(3, 0.002 * unit)}, truth * unit)
        assert find_constant_answers({"t": task}, collected({"t": same})) == {
            "t": "the same number for every case"
        }
        told = items({"value": truth * unit}, truth * unit)
        assert find_constant_answers({"t": task}, collected({"t": told})) == {}


def test_a_run_without_a_step_is_not_called_short() -> None:
    assert LearningCheck({}, {}, 0, 1000).list_verdicts() == ()
    assert LearningCheck({}, {}, 1, 1000).list_verdicts() == ("Short training: 1 of 1,000 planned steps.",)


def test_labels_are_judged_by_any_whose_truth_varies() -> None:
    task = TASKS["finds"]
    same = np.full((4, 2), 0.2)
    for truth, said in (
        ([[0, 1], [0, 0], [0, 1], [0, 0]], {"finds": "the same labels for every case"}),
        ([[0, 1], [0, 1], [0, 1], [0, 1]], {}),
    ):
        known = np.ones((4, 2), bool)
        ids = tuple((f"s{k}", "") for k in range(4))
        found = PooledAnswers(ids, {"p": same}, np.array(truth, float), known)
        assert find_constant_answers({"finds": task}, collected({"finds": found})) == said


def test_a_short_training_has_less_than_a_tenth_of_its_steps() -> None:
    assert LearningCheck({}, {}, 99, 1000).list_verdicts() == ("Short training: 99 of 1,000 planned steps.",)
    assert LearningCheck({}, {}, 100, 1000).list_verdicts() == ()


@pytest.mark.parametrize(("epochs", "expected"), [(1, 1.0), (2, 2.0), (4, 4.0), (5, 4.5), (8, 7.0)])
def test_the_end_is_the_last_third_of_the_epochs(epochs: int, expected: float) -> None:
    entries = [{"step": k + 1, "loss": {"a": k + 1.0, "b": None}} for k in range(epochs)]
    found = read_final_losses({"n": entries}, {"n": ["a", "b"], "m": ["c"]})
    assert found["a"] == expected
    assert np.isnan([found["b"], found["c"]]).all()


@pytest.mark.parametrize(("share", "same"), [(0.9e-3, True), (1.5e-3, False)])
def test_numbers_that_spread_by_a_thousandth_of_the_truth_are_one(share: float, same: bool) -> None:
    truth = np.array([1.0, 5.0])
    found = items({"value": 3 + share * (truth - 3)}, truth)
    assert bool(find_constant_answers({"size": TASKS["size"]}, collected({"size": found}))) == same
    alike = items({"value": np.array([1.0, 1.0])}, [2.0, 2.0])
    assert find_constant_answers({"size": TASKS["size"]}, collected({"size": alike})) == {}
    unknown = items({"value": np.array([1.0, 1.0])}, [2.0, 9.0], [True, False])
    assert find_constant_answers({"size": TASKS["size"]}, collected({"size": unknown})) == {}


@pytest.mark.parametrize(("spread", "same"), [(0.9e-6, True), (1.5e-6, False)])
def test_risks_within_a_millionth_are_one(spread: float, same: bool) -> None:
    found = items({"risk": np.array([0.0, spread]), "p": np.zeros((2, 1))}, [[1.0, 1.0], [3.0, 1.0]])
    assert bool(find_constant_answers({"os": TASKS["os"]}, collected({"os": found}))) == same


def test_an_empty_mask_is_right_where_there_is_nothing_to_find() -> None:
    def find(truth: list[float], answer: list[float]) -> dict[str, str]:
        rows = tuple(
            {"empty_truth.core": t, "empty_answer.core": a} for t, a in zip(truth, answer, strict=True)
        )
        cases = CaseMetrics(WHO[: len(rows)], rows)
        return find_constant_answers({"mask": TASKS["mask"]}, collected(voxel={"mask": cases}))

    assert find([1.0, 1.0], [1.0, 1.0]) == {}
    assert find([1.0, 0.0], [1.0, 1.0]) == {"mask": "no mask predicted in any of 2 cases"}
    assert find([1.0, 0.0], [0.0, 1.0]) == {}


def test_what_nobody_answered_is_not_constant() -> None:
    assert find_constant_answers(TASKS, collected({"grade": items({}, np.zeros(0))})) == {}


def test_labels_just_above_one_half_are_said() -> None:
    truth = np.array([[0.0, 1.0], [1.0, 1.0]])
    for first, same in ((0.5, True), (0.51, False)):
        found = PooledAnswers(
            WHO[:2], {"p": np.array([[first, 0.9], [0.5, 0.9]])}, truth, np.ones((2, 2), bool)
        )
        assert bool(find_constant_answers({"finds": TASKS["finds"]}, collected({"finds": found}))) == same


def test_a_run_has_trained_to_the_last_step_of_its_longest_log(monkeypatch: pytest.MonkeyPatch) -> None:
    log: dict[str, list[dict[str, int]]] = {"a": [{"step": 1}, {"step": 7}], "b": [{"step": 5}], "c": []}
    settings = SimpleNamespace(shared=SimpleNamespace(training=SimpleNamespace(epochs=4, steps_per_epoch=30)))
    monkeypatch.setattr(learning_check, "read_network_logs", lambda folder: log)
    monkeypatch.setattr(learning_check, "Plan", SimpleNamespace(read=lambda folder: settings))
    found = check_learning(Run(Path("r"), {"networks": {}}), {})
    assert (found.steps, found.planned) == (7, 120)
