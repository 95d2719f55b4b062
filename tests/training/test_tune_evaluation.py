"""The metrics on tune, and the mean skill that chooses the best checkpoint."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from polytask.inference.pooled_answers import PooledAnswers
from polytask.inference.sample_prediction import predict_sample
from polytask.tasks import make_task
from polytask.training import tune_evaluation
from polytask.training.rehearsal import load_rehearsal
from polytask.training.tune_evaluation import (
    TuneEvaluator,
    average_case_metrics,
    compute_pooled_metrics,
    find_mean_skill,
    measure_stored_case,
    use_averaged_weights,
)

NAN = float("nan")
TASKS = {
    "grade": make_task("grade", {"kind": "ordinal", "level": "visit", "classes": ("1", "2")}),
    "pcr": make_task("pcr", {"kind": "classification", "level": "subject", "classes": ("no", "yes")}),
    "size": make_task("size", {"kind": "regression", "level": "visit", "deviation": 2.0}),
}


def test_tasks_that_tune_does_not_define_are_left_out_of_the_mean() -> None:
    metrics = {"grade": {"kappa": 0.4}, "pcr": {"auc": NAN, "n": 3.0}, "size": {"r2": NAN, "mae": NAN}}
    assert find_mean_skill(TASKS, metrics) == pytest.approx(0.4)
    metrics["pcr"] = {"auc": 0.9}
    assert find_mean_skill(TASKS, metrics) == pytest.approx((0.4 + 0.8) / 2)
    assert find_mean_skill(TASKS, {"pcr": {"auc": NAN}}) == 0


def test_one_task_far_off_counts_for_no_less_than_minus_1() -> None:
    assert find_mean_skill(TASKS, {"grade": {"kappa": 0.5}, "size": {"r2": -40.0}}) == (0.5 - 1) / 2
    assert find_mean_skill(TASKS, {"grade": {"kappa": 0.5}, "size": {"r2": -0.75}}) == (0.5 - 0.75) / 2


def test_inside_the_network_has_the_averaged_weights() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(network.weight, 1.0)
    state: Any = SimpleNamespace(network=network, average={"weight": torch.tensor([[5.0]])})
    with use_averaged_weights(state):
        assert network.weight.item() == 5.0
    assert network.weight.item() == 1.0
    with pytest.raises(KeyError), use_averaged_weights(state):
        raise KeyError
    assert network.weight.item() == 1.0
    state.average = None
    with use_averaged_weights(state):
        assert network.weight.item() == 1.0


def test_a_mean_skill_of_exactly_the_worst_counts() -> None:
    assert find_mean_skill(TASKS, {"size": {"r2": -1.0}}) == -1.0
    assert find_mean_skill(TASKS, {"size": {"r2": -1.5}}) == -1.0
    assert find_mean_skill(TASKS, {}) == 0.0


def test_only_the_first_process_evaluates_and_all_learn_the_skill() -> None:
    class Told(TuneEvaluator):
        def _metrics(self) -> dict[str, dict[str, float]]:
            return {"grade": {"kappa": 0.4}}

    state: Any = SimpleNamespace(network=SimpleNamespace(tasks=TASKS), average=None)

    class Both:
        device = torch.device("cpu")

        def __init__(self, chief: bool) -> None:
            self.chief = chief

        def total(self, value: torch.Tensor) -> torch.Tensor:
            return value if self.chief else value + 0.4

    for chief in (True, False):
        context: Any = SimpleNamespace(world=Both(chief))
        skill, metrics = Told(state, context)()
        assert skill == pytest.approx(0.4)
        assert metrics == ({"grade": {"kappa": 0.4}} if chief else {})


def test_a_mean_is_over_the_cases_that_define_a_metric() -> None:
    means = average_case_metrics([{"dice": 0.5, "hd95": NAN}, {"dice": 1.0}, {"dice": NAN, "hd95": NAN}])
    assert (means["n"], means["dice"]) == (3.0, 0.75)
    assert np.isnan(means["hd95"])
    assert average_case_metrics([]) == {"n": 0.0}


def test_metrics_of_a_pooled_task_are_of_all_items_together() -> None:
    ids = (("a", ""), ("b", ""))
    truth, known = np.array([1.0, 3.0]), np.array([True, True])
    answers = PooledAnswers(ids, {"value": np.array([2.0, 3.0])}, truth, known)
    assert compute_pooled_metrics(TASKS["size"], answers)["mae"] == 0.5
    assert compute_pooled_metrics(TASKS["grade"], PooledAnswers.stack([])) == {"n": 0.0}


def test_a_case_is_judged_where_its_mask_is_known() -> None:
    task = make_task("mask", {"kind": "segmentation", "structures": ["s"], "exclusive": True})
    value = np.array([[0, 1], [1, 1]], np.uint8)

    def store_of(known: bool, region: dict[str, Any]) -> Any:
        case = SimpleNamespace(known=lambda name: [known], voxel={"mask": value}, region=region)
        return SimpleNamespace(case=lambda key: case)

    prediction = {"p": torch.tensor([[[[0.9, 0.9], [0.1, 0.1]], [[0.1, 0.1], [0.9, 0.9]]]])}
    for region, expected in (({}, 2 * 2 / (2 + 3)), ({"mask": np.array([[1, 0], [1, 1]])}, 1.0)):
        metrics = measure_stored_case(store_of(True, region), "k", task, prediction, (1.0, 1.0))
        assert metrics is not None
        assert metrics["dice"] == pytest.approx(expected)
        assert "hd95" not in metrics
    case = SimpleNamespace(known=lambda name: [True, False], voxel={"mask": value}, region={})
    half: Any = SimpleNamespace(case=lambda key: case)
    two = make_task("mask", {"kind": "segmentation", "structures": ["s", "t"], "exclusive": True})
    thirds = {"p": torch.cat([prediction["p"], torch.zeros(1, 1, 2, 2)], dim=1)}
    known = measure_stored_case(half, "k", two, thirds, (1.0, 1.0))
    assert known is not None, "one of its structures is known"
    assert known["dice.s"] == pytest.approx(2 * 2 / (2 + 3))
    assert measure_stored_case(store_of(False, {}), "k", task, prediction, (1.0, 1.0)) is None
    assert measure_stored_case(store_of(True, {}), None, task, prediction, (1.0, 1.0)) is None


def test_every_tune_case_whose_mask_or_grade_is_known_is_judged_on_patches_that_do_not_overlap(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overlaps: list[float] = []

    def predict(*of: Any, overlap: float) -> Any:
        overlaps.append(overlap)
        return predict_sample(*of, overlap=overlap)

    monkeypatch.setattr(tune_evaluation, "predict_sample", predict)
    rehearsal = load_rehearsal(work, tasks=["lesion", "grade"], device="cpu")
    rehearsal.state.network.eval()
    skill, metrics = TuneEvaluator(rehearsal.state, rehearsal.context)()
    cohort = rehearsal.context.cohort
    cases = [case for s in rehearsal.context.parts.tune for case in cohort.subjects[s]]
    known = {name: sum(name in case.cells for case in cases) for name in ("lesion", "grade")}
    assert {name: metrics[name]["n"] for name in known} == known
    assert known["lesion"] > 0
    assert 0 <= metrics["lesion"]["dice"] <= 1
    assert overlaps == [0.0] * len(rehearsal.context.parts.tune), (
        "overlapping patches would take twice the time"
    )
    assert skill == pytest.approx(find_mean_skill(rehearsal.state.network.tasks, metrics), abs=1e-6)
