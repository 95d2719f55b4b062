"""Risk sets with ties, by hand."""

from __future__ import annotations

from math import log

import pytest
import torch

from polytask.tasks.cox_criterion import compute_efron_terms, compute_efron_weights


def test_tied_events_leave_one_after_the_other() -> None:
    index, weights = compute_efron_weights(torch.tensor([1.0, 1, 2, 3]), torch.tensor([1.0, 1, 1, 0]))
    assert index.tolist() == [0, 1, 2]
    assert weights.exp().tolist() == [[1, 1, 1, 1], [0.5, 0.5, 1, 1], [0, 0, 1, 1]]
    _, weights = compute_efron_weights(torch.tensor([1.0, 1, 1]), torch.tensor([1.0, 1, 1]))
    assert weights.exp()[:, 0].tolist() == pytest.approx([1, 2 / 3, 1 / 3])


def test_who_is_censored_at_the_time_of_an_event_is_wholly_at_risk() -> None:
    _, weights = compute_efron_weights(torch.tensor([1.0, 1, 1]), torch.tensor([1.0, 1, 0]))
    assert weights.exp().tolist() == [[1, 1, 1], [0.5, 0.5, 1]]


def test_an_event_with_nobody_else_at_risk_says_nothing() -> None:
    index, weights = compute_efron_weights(torch.tensor([1.0, 2]), torch.tensor([1.0, 1]))
    assert index.tolist() == [0]
    assert weights.shape == (1, 2)
    index, _ = compute_efron_weights(torch.tensor([3.0, 2]), torch.tensor([0.0, 0.0]))
    assert index.tolist() == []


def test_an_event_costs_the_log_of_its_share_of_the_risk_set() -> None:
    scores = torch.log(torch.tensor([2.0, 3.0, 1.0, 4.0]))
    index, weights = compute_efron_weights(torch.tensor([1.0, 1, 2, 3]), torch.tensor([1.0, 1, 1, 0]))
    assert compute_efron_terms(scores, index, weights).tolist() == pytest.approx(
        [log(10 / 2), log(7.5 / 3), log(5)]
    )
