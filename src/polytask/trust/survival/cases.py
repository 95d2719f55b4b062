"""Held-out patients with a known outcome, with all that promises about their time are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats, Indices, Mask
from polytask.inference.pooled_answers import PooledAnswers
from polytask.tasks.survival import Survival
from polytask.trust.survival.curves import CURVE_KEY, SurvivalCurves, list_curve_times

SHARES = np.concatenate([np.arange(1, 10) / 1000, np.arange(1, 100) / 100])
"""Shares whose predicted times can become a bound: 0.1 % to 99 %."""


@dataclass(frozen=True)
class SurvivalCases:
    """N patients of one member.

    Args:
        subjects: `[N]`. times, events: the known outcome `[N]`.
        risk: `[N]`, orders them. p: probabilities `[N, H]` by the horizons of the task, NaN where not defined.
        passed: predicted probability `[N]` of the event by the patient's own time.
        seen: whether the event was seen before the curve ends `[N]`.
        quantiles: predicted times of `SHARES` `[N, A]`. plain: that of α `[N]`.
    """

    subjects: npt.NDArray[np.str_]
    times: Floats
    events: Floats
    risk: Floats
    p: Floats
    passed: Floats
    seen: Mask
    quantiles: Floats
    plain: Floats

    @classmethod
    def of(cls, task: Survival, answers: PooledAnswers, alpha: float) -> SurvivalCases:
        """Read the known ones of answers with curves (see `add_curves`)."""
        known = answers.take(np.flatnonzero(answers.known))
        times, events = np.asarray(known.value, np.float64).reshape(-1, 2).T
        prediction = {k: np.asarray(v, np.float64) for k, v in known.prediction.items()}
        curves = SurvivalCurves.of(list_curve_times(task), prediction[CURVE_KEY])
        return cls(
            np.array([subject for subject, _ in known.ids], dtype=np.str_),
            times,
            (events > 0).astype(np.float64),
            prediction["risk"],
            prediction["p"],
            curves.evaluate(times),
            np.asarray((events > 0) & (times <= curves.end)),
            curves.find_quantiles(SHARES),
            curves.find_quantiles(np.array([alpha]))[:, 0],
        )

    def take(self, index: Indices | Mask) -> SurvivalCases:
        """Select some of the patients."""
        return SurvivalCases(
            self.subjects[index],
            self.times[index],
            self.events[index],
            self.risk[index],
            self.p[index],
            self.passed[index],
            self.seen[index],
            self.quantiles[index],
            self.plain[index],
        )


def list_places(task: Survival) -> Sequence[str]:
    """List where promises are fitted apart: at each landmark, else in one place without a name."""
    return tuple(task.landmarks) or ("",)


def select_place(task: Survival, answers: PooledAnswers, place: str) -> PooledAnswers:
    """Select the answers of one landmark; all where the task has none."""
    if not task.landmarks:
        return answers
    return answers.take(np.flatnonzero([visit == place for _, visit in answers.ids]))
