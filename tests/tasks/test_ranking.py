"""Areas under curves, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.tasks.ranking import compute_auc, count_wins


def test_wins_count_ties_one_half() -> None:
    assert count_wins(np.array([1.0, 2.0, 5.0]), np.array([2.0, 1.0, 2.0, 0.0])).tolist() == [1.5, 3.0, 4.0]


def test_an_area_is_the_share_of_pairs_ordered_right() -> None:
    assert compute_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == 0.75
    assert compute_auc([1, 1], [0, 1]) == 0.5
    assert compute_auc([0.0, 1.0], [1, 0]) == 0.0
    assert np.isnan(
        [compute_auc([0.1, np.inf], [0, 1]), compute_auc([0.1], [1]), compute_auc([0.1], [0])]
    ).all()


def test_an_area_may_weigh_the_positives() -> None:
    found = compute_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], [9.0, 9.0, 1.0, 3.0])
    assert found == pytest.approx((1 * 1 + 3 * 2) / (4 * 2))
