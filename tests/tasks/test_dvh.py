"""Statistics of the dose of a structure, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.tasks.dvh import (
    compute_dvh_statistics,
    compute_percent_dose,
    compute_volume_dose,
)

DOSE = np.arange(101.0).reshape(1, 1, 101)
ALL = np.ones(DOSE.shape, bool)


def test_a_percent_is_that_of_the_hottest_voxels() -> None:
    assert compute_percent_dose(DOSE, 95.0) == 5.0
    assert compute_percent_dose(DOSE, 1.0) == 99.0


def test_a_volume_is_counted_in_whole_voxels() -> None:
    inside = np.arange(101.0)
    assert compute_volume_dose(inside, 0.1, 10.0) == pytest.approx(100 - 1000 / 101)
    assert compute_volume_dose(inside, 0.1, 66.7) == pytest.approx(100 - 100 / 101)
    assert compute_volume_dose(inside, 0.1, 1e6) == pytest.approx(100 - 100 / 101)
    assert compute_volume_dose(inside, 0.1, 65.0) == pytest.approx(100 - 200 / 101)
    assert compute_volume_dose(inside, 50.0, 1.0) == 0.0


def test_a_structure_has_six_statistics_and_in_3d_one_more() -> None:
    found = compute_dvh_statistics(DOSE, ALL, (10.0, 2.0, 0.5))
    expected = {"mean": 50, "D99": 1, "D95": 5, "D50": 50, "D5": 95, "D1": 99, "D0.1cc": 100 - 1000 / 101}
    assert found == pytest.approx(expected)
    assert "D0.1cc" not in compute_dvh_statistics(DOSE[0], ALL[0], (1.0, 1.0))
    one = np.zeros(DOSE.shape, bool)
    one[0, 0, 7] = True
    assert set(compute_dvh_statistics(DOSE, one, (1.0, 1.0, 1.0)).values()) == {7.0}
