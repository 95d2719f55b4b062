"""The verdict on a comparison: better, worse, no difference shown, or why there is no verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from polytask.plain import make_plain
from polytask.statistics.effect import Effect
from polytask.statistics.holm import adjust_by_holm

VerdictWord = Literal[
    "better",
    "worse",
    "no difference shown",
    "too few",
    "one training each",
    "nothing learned yet",
    "not defined",
]
ComparisonName = TypeVar("ComparisonName")


@dataclass(frozen=True)
class Verdict:
    """The result of one comparison among those made.

    Args:
        word: follows from `p` and the sign. `not defined` without an effect or without its variance; `one training
            each` with one seed; `too few` where the effect says why. Then numbers and interval stand without a claim.
        estimate: the effect in points.
        low, high: interval at `level`; it excludes 0 exactly when p passed, so for "better" and "worse".
        level: see `holm`.
        p: adjusted over the comparisons made.
        detectable: smallest effect that would have been shown with power 0.8, beside `no difference shown`; else NaN.
    """

    word: VerdictWord
    estimate: float
    low: float
    high: float
    level: float
    p: float
    detectable: float

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; what is not defined is null."""
        plain_values: dict[str, Any] = make_plain(asdict(self))
        return plain_values


def judge_comparisons(
    effects: Mapping[ComparisonName, Effect], alpha: float = 0.05
) -> dict[ComparisonName, Verdict]:
    """Judge all comparisons of a study together (name → effect, e.g. (task, arm))."""
    judged = adjust_by_holm([e.p for e in effects.values()], alpha)
    verdicts: dict[ComparisonName, Verdict] = {}
    nan = float("nan")
    for (name, e), (p, level, shown) in zip(effects.items(), judged, strict=True):
        if not np.isfinite(p):
            verdicts[name] = Verdict("not defined", e.estimate, nan, nan, nan, nan, nan)
            continue
        word = choose_word(e, shown)
        detectable = e.detectable(level) if word == "no difference shown" else nan
        verdicts[name] = Verdict(word, e.estimate, *e.interval(level), level, p, detectable)
    return verdicts


def choose_word(effect: Effect, shown: bool) -> VerdictWord:
    """Choose the word for an effect; `shown` says that its p passed."""
    if len(effect.seeds) == 1:
        return "one training each"
    if effect.too_few:
        return "too few"
    if not shown:
        return "no difference shown"
    return "better" if effect.estimate > 0 else "worse"
