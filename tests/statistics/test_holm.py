from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polytask.statistics.holm import adjust_by_holm

NAN = float("nan")
P = st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.01, 0.0125, 0.02, 0.05, 1.0])), max_size=12)


def test_values_of_r() -> None:
    """p.adjust(c(0.01, 0.02, 0.03, 0.04), "holm"), and the same in another order with one test not made."""
    assert [a.p for a in adjust_by_holm([0.01, 0.02, 0.03, 0.04])] == pytest.approx([0.04, 0.06, 0.06, 0.06])
    found = [a.p for a in adjust_by_holm([0.03, NAN, 0.01, 0.04, 0.02])]
    assert found == pytest.approx([0.06, NAN, 0.04, 0.06, 0.06], nan_ok=True)


def test_levels_by_hand() -> None:
    """0.01 ≤ 0.05/4 is shown at its place; 0.02 > 0.05/3 stops there, and the others are judged as it was."""
    found = adjust_by_holm([0.04, 0.01, 0.02, 0.03])
    assert [a.shown for a in found] == [False, True, False, False]
    assert [1 - a.level for a in found] == pytest.approx([0.05 / 3, 0.05 / 4, 0.05 / 3, 0.05 / 3])
    assert adjust_by_holm([0.03]) == [(0.03, 0.95, True)]
    assert adjust_by_holm([]) == []


@given(P)
@settings(max_examples=300, deadline=None)
def test_adjusted_p_and_level_agree(p: list[float]) -> None:
    for own, found in zip(p, adjust_by_holm(p), strict=True):
        assert found.shown == (found.p <= 0.05)
        assert found.p >= min(1.0, own)
        if abs(own - (1 - found.level)) > 1e-12:
            assert found.shown == (own < 1 - found.level)


@given(P, st.randoms())
@settings(max_examples=100, deadline=None)
def test_order_does_not_matter_and_equals_are_judged_alike(p: list[float], random) -> None:  # type: ignore[no-untyped-def]
    order = list(range(len(p)))
    random.shuffle(order)
    found = adjust_by_holm(p)
    assert adjust_by_holm([p[i] for i in order]) == [found[i] for i in order]
    by_p = sorted(zip(p, found, strict=True), key=lambda x: x[0])
    adjusted = [a.p for _, a in by_p]
    assert adjusted == sorted(adjusted)


def test_a_comparison_not_made_does_not_count() -> None:
    assert adjust_by_holm([0.04, NAN]) == [(0.04, 0.95, True), pytest.approx((NAN, NAN, False), nan_ok=True)]


def test_the_familywise_error_is_kept() -> None:
    p = np.random.default_rng(0).random((4000, 6))
    wrong = np.mean([any(a.shown for a in adjust_by_holm(list(row))) for row in p])
    assert wrong == pytest.approx(1 - (1 - 0.05 / 6) ** 6, abs=0.01)
