"""Where training risks are cut, and who falls where."""

from __future__ import annotations

import numpy as np

from polytask.tasks.risk_groups import RISK_GROUP_NAMES, assign_risk_groups, find_risk_cutoffs


def test_thirds_from_thirty_and_halves_below() -> None:
    risk = np.arange(30.0)
    assert len(find_risk_cutoffs(risk)) == 2
    assert np.bincount(assign_risk_groups(risk, find_risk_cutoffs(risk))).tolist() == [10, 10, 10]
    assert np.bincount(assign_risk_groups(risk[:10], find_risk_cutoffs(risk[:10]))).tolist() == [5, 5]
    assert all(len(names) == count + 1 for count, names in RISK_GROUP_NAMES.items())


def test_equal_risks_are_one_group_and_a_new_patient_is_placed_by_the_cut_offs_alone() -> None:
    assert find_risk_cutoffs([1.0, 1.0, 1.0]) == ()
    assert find_risk_cutoffs([]) == ()
    assert find_risk_cutoffs([0.0, 1.0, 1.0, 1.0]) == (), "nobody would lie above"
    assert assign_risk_groups([-9.0, 1.0, 1.5, 99.0], (1.0, 2.0)).tolist() == [0, 0, 1, 2]


def test_risks_that_are_not_numbers_cut_nothing() -> None:
    assert find_risk_cutoffs([np.nan, 0.0, 1.0]) == find_risk_cutoffs([0.0, 1.0])


def test_cut_offs_are_quantiles_of_the_training_risks() -> None:
    assert find_risk_cutoffs(np.arange(31.0)) == (10.0, 20.0)
    assert len(find_risk_cutoffs(np.arange(29.0))) == 1
    assert find_risk_cutoffs([0.0, 1.0]) == (0.5,)
    assert find_risk_cutoffs([3.0]) == ()
    assert assign_risk_groups([0.0, 5.0], ()).tolist() == [0, 0]
