"""Net benefit by hand, after Vickers and Elkin, Medical Decision Making 2006;26:565."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.statistics.net_benefit import compute_net_benefit


def test_by_hand() -> None:
    """Ten cases, four with the event. At 0.2 five are treated: three with the event, two without:
    3/10 − 2/10 · 0.2/0.8 = 0.25. At 0.5: 2/10 − 1/10 · 1 = 0.1. All: 4/10 − 6/10 · t/(1 − t)."""
    p = [0.9, 0.8, 0.2, 0.05, 0.7, 0.3, 0.1, 0.1, 0.1, 0.0]
    truth = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    found = compute_net_benefit(p, truth, [0.2, 0.5])
    assert found.model == pytest.approx([0.25, 0.1])
    assert found.everybody == pytest.approx([0.25, -0.2])
    assert (found.n, found.positives) == (10, 4)


def test_a_perfect_model_gains_the_prevalence_at_every_threshold() -> None:
    truth = np.arange(20) < 5
    found = compute_net_benefit(truth.astype(float), truth)
    assert found.model == pytest.approx(np.full(99, 0.25))
    assert found.everybody[0] < 0.25


def test_nobody() -> None:
    assert np.isnan(compute_net_benefit([], []).model).all()
