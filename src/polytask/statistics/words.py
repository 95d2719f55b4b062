"""What is said of a comparison: better, worse, or no difference shown, and then what could have been."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from scipy import stats

from polytask.plain import plain
from polytask.statistics.effect import Effect
from polytask.statistics.holm import holm

Word = Literal["better", "worse", "no difference shown", "nothing learned yet", "not defined"]
POWER = 0.8
Name = TypeVar("Name")


@dataclass(frozen=True)
class Verdict:
    """One comparison among those made.

    Args:
        word: follows from `p` and the sign. `not defined` without an effect or without its variance.
        estimate: the effect in points.
        low, high: interval at `level`; it excludes 0 exactly for "better" and "worse".
        level: see `holm`.
        p: adjusted over the comparisons made.
        detectable: smallest effect that would have been shown with power 0.8; NaN beside a difference.
    """

    word: Word
    estimate: float
    low: float
    high: float
    level: float
    p: float
    detectable: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON; what is not defined is null."""
        found: dict[str, Any] = plain(asdict(self))
        return found


def verdicts(effects: Mapping[Name, Effect], alpha: float = 0.05) -> dict[Name, Verdict]:
    """Judge all comparisons of a study together (name → effect, e.g. (task, arm))."""
    judged = holm([e.p for e in effects.values()], alpha)
    found: dict[Name, Verdict] = {}
    nan = float("nan")
    for (name, e), (p, level, shown) in zip(effects.items(), judged, strict=True):
        if not np.isfinite(p):
            found[name] = Verdict("not defined", e.estimate, nan, nan, nan, nan, nan)
            continue
        word: Word = ("better" if e.estimate > 0 else "worse") if shown else "no difference shown"
        beside = nan if shown else detectable(e, level)
        found[name] = Verdict(word, e.estimate, *e.interval(level), level, p, beside)
    return found


def detectable(effect: Effect, level: float = 0.95, power: float = POWER) -> float:
    """Minimal detectable effect: (t(1 − a/2, df) + t(power, df)) × standard error, with a = 1 − level.

    The standard error, the degrees of freedom and the level are those of the interval, so the three agree. It is an
    estimate: of the study as it came out, not of its plan; with 2 degrees of freedom its power is 0.77. NaN where there
    is no variance to go by.
    """
    if not effect.error > 0:
        return float("nan")
    freedom = float(effect.uncertainty.freedom(1 - level))
    return float(effect.uncertainty.margin(1 - level)) + effect.error * float(stats.t.ppf(power, freedom))
