from __future__ import annotations

from math import log

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from polytask.tasks.heads_and_losses import CumulativeHead
from polytask.tasks.ordinal import Ordinal, compute_cumulative_loss

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
