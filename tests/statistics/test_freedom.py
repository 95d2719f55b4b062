from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from polytask.statistics.freedom import combine_freedoms


def test_of_two_means_it_is_welch() -> None:
    a = np.array([27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4])
    b = np.array([27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2])
    parts = [a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)]
    df = float(combine_freedoms(parts, [len(a) - 1, len(b) - 1]))
    welch = stats.ttest_ind(a, b, equal_var=False)
    assert df == pytest.approx(welch.df)
    t = (a.mean() - b.mean()) / np.sqrt(sum(parts))
    assert 2 * stats.t.sf(abs(t), df) == pytest.approx(welch.pvalue)


def test_equal_variances_pool_and_nothing_is_not_defined() -> None:
    assert float(combine_freedoms([2.0, 2.0], [5, 5])) == pytest.approx(10)
    assert float(combine_freedoms([3.0, 0.0], [5, 7])) == pytest.approx(5)
    assert np.isnan(combine_freedoms([0.0, 0.0], [5, 7]))
