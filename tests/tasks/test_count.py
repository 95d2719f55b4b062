"""Counts against scikit-learn's Poisson deviance and against the deviance worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import d2_tweedie_score, mean_poisson_deviance

from polytask.kinds.count import compute_deviance
from polytask.tasks import make_task
from polytask.tasks.count import Count
from polytask.tasks.target import Target

TRUTH = np.array([0.0, 1.0, 4.0, 2.0, 0.0, 7.0])
ANSWER = np.array([0.5, 1.5, 3.0, 2.0, 0.1, 5.0])


def make_count(**more: float) -> Count:
    task = make_task("t", {"kind": "count", "level": "visit", "mean": 2.0, "deviation": 2.0, **more})
    assert isinstance(task, Count)
    return task


def test_the_deviance_is_that_of_the_formula() -> None:
    """y = 2, μ = 1: 2 (2 ln 2 − 2 + 1) = 0.7726; y = 0: 2 μ."""
    assert compute_deviance(np.array([2.0, 0.0]), 1.0) == pytest.approx([4 * np.log(2) - 2, 2.0])
    assert compute_deviance(TRUTH, ANSWER).mean() == pytest.approx(mean_poisson_deviance(TRUTH, ANSWER))


def test_loss_and_primary_metric_are_those_of_scikit_learn() -> None:
    task = make_count()
    output = torch.from_numpy(np.log(ANSWER)).float()[:, None]
    total, count = task.criterion()(
        output, Target(torch.from_numpy(TRUTH).float(), torch.ones(6, dtype=torch.bool)), list("abcdef")
    )
    assert float(total / count) == pytest.approx(mean_poisson_deviance(TRUTH, ANSWER), rel=1e-5)
    known = np.ones(6, bool)
    found = task.metrics({"value": ANSWER}, TRUTH, known)
    assert found["d2"] == pytest.approx(d2_tweedie_score(TRUTH, ANSWER, power=1))
    assert found["mae"] == pytest.approx(np.abs(TRUTH - ANSWER).mean())
    assert task.skill(found) == found["d2"]


def test_a_fresh_head_answers_the_training_mean() -> None:
    task = make_count(mean=3.5)
    head = task.head(8, 0)
    assert task.decode(head(torch.zeros(2, 8)))["value"].tolist() == pytest.approx([3.5, 3.5])


@pytest.mark.parametrize("size", [-1e4, 1e4])
def test_a_wild_output_gives_a_finite_loss_and_still_a_gradient_back(size: float) -> None:
    task = make_count()
    output = torch.full((1, 1), size, requires_grad=True)
    total, _ = task.criterion()(output, Target(torch.tensor([3.0]), torch.tensor([True])), ["a"])
    total.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(total)
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()
    assert float(output.grad) * size > 0  # downhill leads back
    assert torch.isfinite(task.decode(output)["value"]).all()


def test_counts_that_do_not_vary_are_judged_by_their_error() -> None:
    task = make_count()
    found = task.metrics({"value": np.array([2.5, 3.5])}, np.array([3.0, 3.0]), np.ones(2, bool))
    assert np.isnan(found["d2"])
    assert task.skill(found) == pytest.approx(1 - 0.5 / 2)


def test_counts_go_on_as_a_straight_line_far_above_the_mean() -> None:
    task = make_count(mean=2.0)
    steep = 2.0 * np.exp(5.0)
    output = torch.tensor([[0.0], [np.log(2.0) + 5], [np.log(2.0) + 6], [np.log(2.0) + 8]])
    found = task.decode(output.float())["value"].tolist()
    assert found == pytest.approx([1.0, steep, 2 * steep, 4 * steep], rel=1e-5)


def test_the_loss_by_hand() -> None:
    """0 expected 3: 2 · 3; 2 expected 1: 2 (2 ln 2 − 2 + 1)."""
    task = make_count(constant=0.5)
    target = Target(torch.tensor([0.0, 2.0, 9.0]), torch.tensor([True, True, False]))
    total, count = task.criterion()(
        torch.tensor([[np.log(3.0)], [0.0], [0.0]]).float(), target, ["a", "b", "c"]
    )
    assert float(total) == pytest.approx((6 + 4 * np.log(2) - 2) / 0.5, rel=1e-5)
    assert float(count) == 2.0


def test_measures_by_hand_and_of_nothing() -> None:
    task = make_count()
    found = task.metrics(
        {"value": np.array([2.0, 0.0, 9.0])}, np.array([1.0, 4.0, 9.0]), np.array([True, True, False])
    )
    assert (found["n"], found["mae"], found["rmse"]) == (2, 2.5, pytest.approx(np.sqrt(8.5)))
    assert np.isfinite(found["d2"])
    nothing = task.metrics({"value": np.ones(1)}, np.ones(1), np.zeros(1, bool))
    assert nothing.pop("n") == 0
    assert np.isnan(list(nothing.values())).all()


def test_skill_is_unknown_where_neither_the_truth_nor_training_varies() -> None:
    assert np.isnan(make_count(deviation=0.0).skill({"d2": float("nan"), "mae": 0.5}))
    assert make_count().skill({"d2": 0.3, "mae": 0.5}) == 0.3
    plain = make_task("t", {"kind": "count", "level": "visit"})
    assert plain.skill({"mae": 0.25}) == 0.75
    assert plain.decode(plain.head(4, 0)(torch.zeros(1, 4)))["value"].tolist() == [1.0]
