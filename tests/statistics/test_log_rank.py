"""The log-rank test against R's survdiff and lifelines."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.statistics.log_rank import compute_log_rank

# Freireich's leukaemia remission times in weeks (6-MP against placebo), the textbook example: chi² 16.8 on 1 degree of
# freedom, p = 4.17e-5 (R survival::survdiff; Collett; Kleinbaum and Klein, who print 16.793).
TREATED = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
OBSERVED = [1] * 9 + [0] * 12
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


def test_freireich() -> None:
    times, events = [*TREATED, *PLACEBO], [*OBSERVED, *[1] * 21]
    found = compute_log_rank(times, events, ["6-MP"] * 21 + ["placebo"] * 21)
    assert found.statistic == pytest.approx(16.793, abs=6e-4)
    assert (found.freedom, found.p) == (1, pytest.approx(4.17e-5, rel=2e-3))


def test_three_groups_are_those_of_lifelines() -> None:
    statistics = pytest.importorskip("lifelines.statistics")
    random = np.random.default_rng(3)
    times, groups = np.round(random.exponential(10, 90)) + 1, random.integers(0, 3, 90)
    events = random.random(90) < 0.6
    reference = statistics.multivariate_logrank_test(times, groups, events)
    found = compute_log_rank(times, events, groups)
    assert (found.freedom, found.statistic) == (2, pytest.approx(reference.test_statistic))
    assert found.p == pytest.approx(reference.p_value)


def test_two_subjects_by_hand() -> None:
    """At the first event 1 is seen where ½ is expected, with variance ¼; at the second nobody is left to compare."""
    found = compute_log_rank([1, 2], [1, 1], ["a", "b"])
    assert (found.statistic, found.p) == (pytest.approx(1.0), pytest.approx(0.3173, abs=1e-4))


def test_nothing_to_compare() -> None:
    assert np.isnan(compute_log_rank([1, 2], [1, 1], [0, 0]).p)
    assert np.isnan(compute_log_rank([1, 2], [0, 0], [0, 1]).p)
    assert np.isnan(compute_log_rank([], [], []).p)


def test_groups_that_were_never_at_risk_together_cannot_be_compared() -> None:
    """Of three groups one has left before the first event: what it would have had is not known."""
    found = compute_log_rank([1, 2, 5, 6, 7, 8], [0, 0, 1, 1, 1, 1], list("aabcbc"))
    assert (found.freedom, np.isnan(found.statistic), np.isnan(found.p)) == (2, True, True)
    lone = compute_log_rank([], [], [])
    assert lone.freedom == 0
    assert compute_log_rank([1, 2], [0, 0], [0, 1]).freedom == 1


def test_tied_events_by_hand() -> None:
    """Two of four at risk die at 1, both of a: expected 2 · 2/4 = 1, variance 2 · 2/3 · ¼ = ⅓; nobody of a is left."""
    found = compute_log_rank([1, 1, 2, 3], [1, 1, 0, 0], list("aabb"))
    assert found.statistic == pytest.approx(3.0)
