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


def test_who_is_exactly_at_a_threshold_is_treated_and_there_are_99_of_them() -> None:
    found = compute_net_benefit([0.5, 0.25], [True, False])
    assert found.thresholds.tolist() == [k / 100 for k in range(1, 100)]
    assert found.model[49] == 0.5
    assert found.model[50] == 0.0
    assert found.model[24] == pytest.approx(0.5 - 0.5 / 3)
    assert found.model[25] == 0.5
    nobody = compute_net_benefit([], [], [0.5])
    assert (nobody.n, nobody.positives) == (0, 0)
    assert np.isnan(nobody.everybody).all()
