"""Where training risks are cut, and who falls where."""

from __future__ import annotations

import numpy as np

from polytask.tasks.risk_groups import NAMES, cut_risks, find_groups


def test_thirds_from_thirty_and_halves_below() -> None:
    risk = np.arange(30.0)
    assert len(cut_risks(risk)) == 2
    assert np.bincount(find_groups(risk, cut_risks(risk))).tolist() == [10, 10, 10]
    assert np.bincount(find_groups(risk[:10], cut_risks(risk[:10]))).tolist() == [5, 5]
    assert all(len(names) == count + 1 for count, names in NAMES.items())


def test_equal_risks_are_one_group_and_a_new_patient_is_placed_by_the_cut_offs_alone() -> None:
    assert cut_risks([1.0, 1.0, 1.0]) == ()
    assert cut_risks([]) == ()
    assert cut_risks([0.0, 1.0, 1.0, 1.0]) == (), "nobody would lie above"
    assert find_groups([-9.0, 1.0, 1.5, 99.0], (1.0, 2.0)).tolist() == [0, 0, 1, 2]


def test_risks_that_are_not_numbers_cut_nothing() -> None:
    assert cut_risks([np.nan, 0.0, 1.0]) == cut_risks([0.0, 1.0])
