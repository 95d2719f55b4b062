from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from polytask.tasks.heads_and_losses import CumulativeHead
from polytask.tasks.ordinal import Ordinal, compute_cumulative_loss
from polytask.tasks.target import Target

SHARES = [0.1, 0.5, 0.15, 0.25]
TASK = Ordinal("t", "visit", ("0", "1", "2", "3"), tuple(SHARES))


def test_head_starts_at_the_shares_and_is_ordered_whatever_it_learns() -> None:
    head = CumulativeHead(5, SHARES)
    p = TASK.decode(head(torch.zeros(1, 5)))["p"][0]
    torch.testing.assert_close(p, torch.tensor(SHARES))
    with torch.no_grad():
        head.delta.normal_(0, 20)
        head.first.fill_(-3.0)
    cuts = head.cuts()
    assert bool((cuts.diff() >= 0).all())
    over = head(torch.randn(50, 5)).sigmoid()
    assert bool((over.diff(dim=1) <= 0).all())


def test_a_class_that_never_occurs_leaves_the_cut_points_finite() -> None:
    head = TASK.__class__("t", "visit", ("a", "b", "c"), (0.5, 0.0, 0.5)).head(4, 0)
    assert all(bool(p.isfinite().all()) for p in head.parameters())


def test_loss_is_minus_log_of_the_decoded_probability() -> None:
    output = torch.randn(60, 3).sort(1, descending=True).values * 2
    value = torch.arange(60) % 4
    expected = -TASK.decode(output)["p"].gather(1, value[:, None]).log().squeeze(1)
    torch.testing.assert_close(compute_cumulative_loss(output, value), expected, rtol=1e-4, atol=1e-5)


def test_two_classes_are_logistic_regression() -> None:
    output, value = torch.randn(40, 1), torch.arange(40) % 2
    expected = binary_cross_entropy_with_logits(output[:, 0], value.float(), reduction="none")
    torch.testing.assert_close(compute_cumulative_loss(output, value), expected)


@pytest.mark.parametrize("score", [-500.0, 500.0])
def test_loss_stays_finite_where_the_difference_of_sigmoids_is_zero(score: float) -> None:
    x = torch.tensor([score], requires_grad=True)
    output = (x - torch.tensor([-1.0, 0.0, 1.0]))[None]
    loss = compute_cumulative_loss(output, torch.tensor([2]))
    loss.sum().backward()
    assert loss.item() == pytest.approx(500, rel=0.01)
    assert x.grad is not None
    assert abs(x.grad.item()) == pytest.approx(1, rel=1e-3)


def test_a_class_between_cut_points_that_meet_has_a_finite_loss() -> None:
    found = compute_cumulative_loss(torch.zeros(1, 2), torch.tensor([1]))
    assert found.item() == pytest.approx(2 * log(2) - log(1e-6), rel=1e-4)
    ends = compute_cumulative_loss(torch.tensor([[log(3), 0.0]]).repeat(2, 1), torch.tensor([0, 2]))
    assert ends.tolist() == pytest.approx([log(4), log(2)])


def test_probabilities_are_differences_of_those_of_passing_a_threshold() -> None:
    p = TASK.decode(torch.tensor([[log(3), 0.0, -log(3)]]))["p"]
    assert p[0].tolist() == pytest.approx([0.25] * 4)
    crossed = TASK.decode(torch.tensor([[0.0, log(3), -log(3)]]))["p"]
    assert crossed[0].tolist() == pytest.approx([0.5, 0.0, 0.25, 0.25])


def test_the_median_class_is_answered() -> None:
    p = np.array([[0.5, 0.2, 0.2, 0.1], [0.4, 0.2, 0.2, 0.2], [0.1, 0.1, 0.2, 0.6], [0.0, 0.0, 1.0, 0.0]])
    assert TASK.grade({"p": p}).tolist() == [0, 1, 3, 2]
    assert [TASK.columns({"p": p}, row)[""] for row in range(4)] == ["0", "1", "3", "2"]
    assert TASK.columns({"p": p}, 2)[".p.3"] == 0.6


def test_measures_by_hand_and_of_nothing() -> None:
    p = np.eye(4)[[0, 1, 3, 3]]
    found = TASK.metrics({"p": p}, np.array([0, 3, 3, 0]), np.array([True, True, True, False]))
    assert (found["n"], found["accuracy"], found["mae"]) == (3, pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert (found["auc.1"], found["auc.2"], found["auc.3"]) == (1.0, 0.75, 0.75)
    nothing = TASK.metrics({"p": p}, np.array([0, 3, 3, 0]), np.zeros(4, bool))
    assert nothing.pop("n") == 0
    assert np.isnan(list(nothing.values())).all()
    assert TASK.skill({"kappa": 0.4}) == 0.4
    assert np.isnan(TASK.skill({}))


def test_without_shares_every_class_is_as_likely() -> None:
    task = Ordinal("t", "visit", ("a", "b", "c", "d"))
    assert task.outputs == 3
    assert task.decode(task.head(4, 0)(torch.zeros(1, 4)))["p"][0].tolist() == pytest.approx([0.25] * 4)


BALANCED = Ordinal("t", "visit", ("0", "1", "2"), (0.8, 0.15, 0.05), balanced=True, constant=log(3))
WEIGHTS = [1 / 2.4, 1 / 0.45, 1 / 0.15]


def measure_gradient(task: Ordinal, value: int) -> tuple[float, list[float]]:
    """Loss of one item with log-odds (log 3, 0), so probabilities ¼, ¼, ½, and its gradient."""
    output = torch.tensor([[log(3), 0.0]], requires_grad=True)
    target = Target(torch.tensor([value]), torch.ones(1, dtype=torch.bool))
    total, _ = task.criterion()(output, target, ["s"])
    total.backward()  # type: ignore[no-untyped-call]
    assert output.grad is not None
    return total.item(), output.grad[0].tolist()


@pytest.mark.parametrize(
    ("value", "probability", "gradient"),
    # σ(log 3) = ¾ and σ(0) = ½. The derivatives of −log p by (a, b): for grade 0, p = 1 − σ(a): (σ(a), 0); for grade 1,
    # p = σ(a) − σ(b): (−σ'(a)/p, σ'(b)/p) with σ' = σ (1 − σ); for grade 2, p = σ(b): (0, σ(b) − 1).
    [(0, 0.25, [0.75, 0.0]), (1, 0.25, [-0.75, 1.0]), (2, 0.5, [0.0, -0.5])],
)
def test_a_balanced_loss_and_its_gradient_by_hand(
    value: int, probability: float, gradient: list[float]
) -> None:
    loss, found = measure_gradient(BALANCED, value)
    weight = WEIGHTS[value] / log(3)
    assert loss == pytest.approx(-weight * log(probability), rel=1e-5)
    assert found == pytest.approx([weight * g for g in gradient], rel=1e-5)
    drawn = replace(BALANCED, drawn_shares=(0.5, 0.3, 0.2))
    by_draws = [1 / 1.5, 1 / 0.9, 1 / 0.6][value] / log(3)
    assert measure_gradient(drawn, value)[0] == pytest.approx(-by_draws * log(probability), rel=1e-5)


def test_balanced_cut_points_start_where_no_constant_answer_is_better() -> None:
    """At even shares the gradient over the whole cohort is 0, and the loss is the constant."""
    cuts = torch.tensor([log(2), -log(2)], dtype=torch.float64)
    head = BALANCED.head(4, 0)
    torch.testing.assert_close(head(torch.zeros(1, 4))[0], cuts.float())
    value = torch.tensor([0] * 80 + [1] * 15 + [2] * 5)
    output = cuts.float().repeat(100, 1).requires_grad_()
    total, count = BALANCED.criterion()(output, Target(value, torch.ones(100, dtype=torch.bool)), ["s"] * 100)
    total.backward()  # type: ignore[no-untyped-call]
    assert float((total / count).detach()) == pytest.approx(1, rel=1e-5)
    assert output.grad is not None
    assert output.grad.sum(0).tolist() == pytest.approx([0, 0], abs=1e-3)


def test_probabilities_of_a_balanced_task_are_not_turned_back_to_the_shares() -> None:
    """As for classes: they hold for a case whose grade was drawn evenly."""
    output = torch.tensor([[log(3), 0.0]])
    plain = replace(BALANCED, balanced=False)
    torch.testing.assert_close(BALANCED.decode(output)["p"], plain.decode(output)["p"])
