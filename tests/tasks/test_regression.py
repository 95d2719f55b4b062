"""Metrics of a number, and where they are not defined."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polytask.tasks import make_task
from polytask.tasks.target import Target

TASK = make_task("size", {"kind": "regression", "level": "visit", "deviation": 2.0})
TRUTH = [1.0, 2.0, 3.0, 6.0]


def measure(answer: list[float], truth: list[float], known: list[bool] | None = None) -> dict[str, float]:
    there = np.ones(len(truth), bool) if known is None else np.array(known)
    found = TASK.metrics({"value": np.array(answer, np.float32)}, np.array(truth), there)  # type: ignore[attr-defined]
    return dict(found)


def test_metrics_by_hand() -> None:
    found = measure([1.0, 2.0, 3.0, 4.0], TRUTH)
    assert found["n"] == 4
    assert found["mae"] == 0.5
    assert found["rmse"] == 1.0
    assert found["r2"] == pytest.approx(1 - 4 / 14), "Σ(truth − 3)² is 4 + 1 + 0 + 9"
    assert found["pearson"] == pytest.approx(np.corrcoef([1, 2, 3, 4], TRUTH)[0, 1])


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6])
def test_a_constant_answer_has_no_correlation_and_a_constant_truth_no_r2(constant: float) -> None:
    found = measure([constant] * 4, TRUTH)
    assert np.isnan(found["pearson"])
    assert np.isfinite(found["r2"])
    found = measure(TRUTH, [constant] * 4)
    assert np.isnan([found["r2"], found["pearson"]]).all()
    assert np.isfinite([found["mae"], found["rmse"]]).all()


def test_unknown_items_do_not_count_and_nothing_known_is_not_defined() -> None:
    assert measure([1.0, 2.0, 3.0, 99.0], TRUTH, [True, True, True, False])["mae"] == 0
    nothing = measure(TRUTH, TRUTH, [False] * 4)
    assert nothing.pop("n") == 0
    assert np.isnan(list(nothing.values())).all()


def test_one_number_is_put_out_and_a_loss_without_a_constant_is_the_plain_one() -> None:
    assert TASK.outputs == TASK.head(4, 0)(torch.zeros(1, 4)).shape[1] == 1
    output, target = torch.zeros(1, 1), Target(torch.tensor([3.0]), torch.tensor([True]))
    assert float(TASK.criterion()(output, target, ["a"])[0]) == 2.5, "3 − ½ of smooth L1"


def test_skill_is_r2_and_the_error_beside_a_constants_where_the_truth_does_not_vary() -> None:
    assert TASK.skill({"r2": 0.25, "mae": 9.0}) == 0.25
    assert TASK.skill({"r2": float("nan"), "mae": 0.5}) == 0.75, "1 − 0.5 / 2"


def test_the_loss_is_squared_within_one_deviation_and_straight_beyond() -> None:
    task = make_task(
        "size", {"kind": "regression", "level": "visit", "mean": 10.0, "sd": 2.0, "constant": 0.5}
    )
    value, known = torch.tensor([14.0, 11.0, 99.0]), torch.tensor([True, True, False])
    total, count = task.criterion()(torch.zeros(3, 1), Target(value, known), ["a", "b", "c"])
    assert (float(total), float(count)) == ((1.5 + 0.125) / 0.5, 2.0)


def test_a_fresh_head_answers_the_training_mean_and_an_output_counts_deviations() -> None:
    task = make_task("size", {"kind": "regression", "level": "visit", "mean": 10.0, "sd": 2.0})
    assert task.decode(task.head(4, 0)(torch.zeros(1, 4)))["value"].tolist() == [10.0]
    assert task.decode(torch.tensor([[1.5]]))["value"].tolist() == [13.0]
    plain = make_task("size", {"kind": "regression", "level": "visit"})
    assert plain.decode(torch.tensor([[1.5]]))["value"].tolist() == [1.5]


def test_skill_is_unknown_where_neither_the_truth_nor_training_varies() -> None:
    flat = make_task("size", {"kind": "regression", "level": "visit", "deviation": 0.0})
    assert np.isnan(flat.skill({"r2": float("nan"), "mae": 0.5}))
    assert np.isnan(TASK.skill({}))
    assert make_task("size", {"kind": "regression", "level": "visit"}).skill({"mae": 0.25}) == 0.75
