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
