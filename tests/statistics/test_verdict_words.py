from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from polytask.statistics.effect import Effect
from polytask.statistics.pivot import make_pivot
from polytask.statistics.verdict_words import judge_comparisons

NAN = float("nan")


def an_effect(
    estimate: float, error: float = 1.0, freedom: float = 20.0, share: float = 0.0, skew: float = 0.0
) -> Effect:
    """`share` of the variance from three seeds."""
    grid = stats.t.ppf((np.arange(1998) + 0.5) / 1998, freedom)
    pivot = make_pivot(grid + skew * (grid**2 - 1), freedom, share, 2.0 if share else 0.0, places=998)
    p = float(pivot.p(estimate / error)) if error else 1.0
    whole = {"folds": {0: estimate}, "cases": {0: 20}, "seeds": (0, 1, 2), "subjects": 20, "notes": ()}
    parts = {"freedom": freedom, "subjects_part": 0.5, "seeds_part": 0.5}
    return Effect(80, 78, estimate, error, pivot if error else None, p, **parts, **whole)  # type: ignore[arg-type]


EFFECTS = st.lists(
    st.builds(
        an_effect,
        st.floats(-8, 8),
        st.floats(0.1, 3),
        st.floats(1, 60),
        st.floats(0, 1),
        st.floats(-0.3, 0.3),
    ),
    min_size=1,
    max_size=10,
)


@given(EFFECTS)
@settings(max_examples=40, deadline=None)
def test_words_and_intervals_say_the_same(effects: list[Effect]) -> None:
    for verdict in judge_comparisons(dict(enumerate(effects))).values():
        gap = max(verdict.low, -verdict.high)
        if abs(gap) > 1e-9:  # not within rounding of the border
            assert (verdict.word == "better") == (verdict.low > 0)
            assert (verdict.word == "worse") == (verdict.high < 0)
        assert (verdict.word != "no difference shown") == (verdict.p <= 0.05)
        assert np.isnan(verdict.detectable) == (verdict.word != "no difference shown")


def test_words() -> None:
    undefined = replace(an_effect(3.0), p=NAN, error=NAN, pivot=None)
    found = judge_comparisons(
        {"a": an_effect(5), "b": an_effect(-5), "c": an_effect(0.5), "d": undefined, ("e", 1): an_effect(2.3)}
    )
    words = [v.word for v in found.values()]
    assert words == ["better", "worse", "no difference shown", "not defined", "no difference shown"]
    assert found["e", 1].low < 0 < found["e", 1].high  # p 0.03 alone, but one of four
    assert judge_comparisons({"e": an_effect(2.3)})["e"].word == "better"
    plain = json.loads(json.dumps(found["d"].as_dict(), allow_nan=False))
    assert plain == {
        "word": "not defined",
        "estimate": 3.0,
        **dict.fromkeys(("low", "high", "level", "p", "detectable")),
    }


def test_no_claim_from_one_training_or_too_few() -> None:
    """Figures and interval stay; the word does not depend on p."""
    for sure in (5.0, 0.1):
        one, few = replace(an_effect(sure), seeds=(0,)), replace(an_effect(sure), too_few="7 events")
        found = judge_comparisons({"one": one, "few": few, "both": replace(few, seeds=(3,))})
        assert [v.word for v in found.values()] == ["one training each", "too few", "one training each"]
        assert all(np.isfinite([v.low, v.high, v.p]).all() for v in found.values())
        assert all(np.isnan(v.detectable) for v in found.values())


def test_the_same_arm_twice_shows_nothing() -> None:
    same = an_effect(0.0, error=0.0)
    verdict = judge_comparisons({"x": same})["x"]
    assert (verdict.word, verdict.low, verdict.high, verdict.p) == ("no difference shown", 0, 0, 1)
    assert verdict.as_dict()["detectable"] is None


def test_detectable_by_hand() -> None:
    """df 20, 95 %: t 2.086 and 0.860 (tables)."""
    assert an_effect(0, 1.5).detectable() == pytest.approx(1.5 * (2.086 + 0.860), rel=0.02)
    assert an_effect(0, 1.5).detectable(0.99) == pytest.approx(1.5 * (2.845 + 0.860), rel=0.05)


def test_an_effect_of_that_size_is_shown_in_four_of_five_studies() -> None:
    rng = np.random.default_rng(0)
    for freedom in (6, 20, 57):
        size = an_effect(0, 1.0, freedom).detectable()
        t = (rng.normal(size=200_000) + size) / np.sqrt(rng.chisquare(freedom, 200_000) / freedom)
        assert (2 * stats.t.sf(np.abs(t), freedom) <= 0.05).mean() == pytest.approx(0.8, abs=0.02)
