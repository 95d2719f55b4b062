from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from polytask.statistics.freedom import held_back, satterthwaite

SHARES = np.array([0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0])


def test_of_two_means_it_is_welch() -> None:
    a = np.array([27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4])
    b = np.array([27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2])
    parts = [a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)]
    df = float(satterthwaite(parts, [len(a) - 1, len(b) - 1]))
    welch = stats.ttest_ind(a, b, equal_var=False)
    assert df == pytest.approx(welch.df)
    t = (a.mean() - b.mean()) / np.sqrt(sum(parts))
    assert 2 * stats.t.sf(abs(t), df) == pytest.approx(welch.pvalue)


def test_equal_variances_pool_and_nothing_is_not_defined() -> None:
    assert float(satterthwaite([2.0, 2.0], [5, 5])) == pytest.approx(10)
    assert float(satterthwaite([3.0, 0.0], [5, 7])) == pytest.approx(5)
    assert np.isnan(satterthwaite([0.0, 0.0], [5, 7]))


def errors(freedom: int, hold: bool, alpha: float = 0.05, steps: int = 1500) -> np.ndarray:
    """Two-sided error in % over true shares of a part with few degrees of freedom, the other part being known.

    An integral over the part's χ², finer where it is small.
    """
    edges = np.r_[0, np.geomspace(1e-7, 0.5, steps), np.linspace(0.5, 1, steps)[1:]]
    u = stats.chi2.ppf((edges[1:] + edges[:-1]) / 2, freedom) / freedom
    found = []
    for share in SHARES:
        total = share * u + 1 - share
        part = share * u / total
        own = held_back(part, freedom, alpha) if hold else np.full_like(part, freedom)
        df = satterthwaite([part, 1 - part], [own, 1e9])
        found.append(2 * stats.norm.sf(stats.t.isf(alpha / 2, df) * np.sqrt(total)))
    return np.asarray(100 * np.array(found) @ np.diff(edges))


@pytest.mark.parametrize(
    ("alpha", "freedom", "low", "high"),
    [
        *((0.05, 1, 3.2, 6.2), (0.05, 2, 4.3, 5.7), (0.05, 3, 4.3, 5.7), (0.05, 10, 4.3, 5.7)),
        *((0.005, 2, 0.27, 0.8), (0.005, 3, 0.27, 0.6), (0.005, 6, 0.27, 0.6)),
    ],
)
def test_held_back_it_errs_as_often_as_it_says(alpha: float, freedom: int, low: float, high: float) -> None:
    """The figures of the docstring."""
    found = errors(freedom, hold=True, alpha=alpha)
    assert low <= found.min()
    assert found.max() <= high
    assert found[[0, -1]] == pytest.approx(100 * alpha, rel=0.02)


def test_the_plain_formula_does_not() -> None:
    assert errors(2, hold=False).max() == pytest.approx(7.8, abs=0.1)
    assert errors(1, hold=False).max() == pytest.approx(12.8, abs=0.15)
    assert errors(2, hold=False, alpha=0.005).max() > 2
