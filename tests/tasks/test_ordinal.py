from __future__ import annotations

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from polytask.tasks.ordinal import Ordinal, compute_cumulative_loss
from polytask.tasks.task_heads import CumulativeHead

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
