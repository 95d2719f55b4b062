"""Curves of survival, as one member tells them: at what time which share of such patients has had the event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polytask.array_types import Floats
from polytask.kinds.step_curves import evaluate_hazard
from polytask.tasks.survival import MAX_RISK_SCORE, Survival
from polytask.tasks.task import Arrays

CURVE_KEY = "passed"
"""Key that `add_curves` gives to a prediction."""
MAX_CURVE_POINTS = 200


def list_curve_times(task: Survival) -> Floats:
    """List the times at which the curves of a task are known `[G]`, rising; none where it has no probabilities.

    A Cox model knows its curves at the events of its baseline. Of discrete hazards only the horizons are kept with an
    answer.
    """
    if task.loss == "hazard":
        times = np.array(
            [h for h in sorted(task.horizons) if not task.explain_undefined(h)], dtype=np.float64
        )
    else:
        times = np.array(task.baseline.get("times", ()), dtype=np.float64)
    if len(times) > MAX_CURVE_POINTS:
        times = times[np.unique(np.linspace(0, len(times) - 1, MAX_CURVE_POINTS).round().astype(int))]
    return times


def add_curves(task: Survival, prediction: Arrays, times: Floats) -> Arrays:
    """Add to a prediction the probability `[N, G]` of the event by each of `times`; they are `list_curve_times` of the
    first of several seeds, so that curves can be averaged."""
    if task.loss == "hazard":
        order = np.argsort(task.horizons)
        kept = [int(h) for h in order if not task.explain_undefined(task.horizons[h])]
        passed = np.asarray(prediction["p"], dtype=np.float64)[:, kept]
    else:
        risk = np.asarray(prediction["risk"], dtype=np.float64).clip(-MAX_RISK_SCORE, MAX_RISK_SCORE)
        hazard = evaluate_hazard(task.baseline, times) if len(times) else np.zeros(0)
        passed = -np.expm1(-hazard * np.exp(risk)[:, None])
    return {**prediction, CURVE_KEY: passed}


@dataclass(frozen=True)
class SurvivalCurves:
    """Curves of N patients, known up to the last of their times; between them the hazard is constant.

    Args:
        times: `[G]`, rising and above 0. passed: `[N, G]`, probability of the event by each of them.
    """

    times: Floats
    passed: Floats

    @classmethod
    def of(cls, times: Floats, passed: Floats) -> SurvivalCurves:
        """Make curves from what `add_curves` made; a time of 0 is left out."""
        later = times > 0
        # Means over seeds and passes may fall by a rounding error.
        return cls(times[later], np.maximum.accumulate(np.asarray(passed, np.float64)[:, later], axis=1))

    @property
    def end(self) -> float:
        """The last time that the curves are known at."""
        return float(self.times[-1])

    def evaluate(self, at: Floats) -> Floats:
        """Evaluate each curve at a time of its own `[N]` → probability of the event by then; after the end that at the
        end."""
        edges = np.concatenate([[0.0], self.times])
        hazard = self._compute_hazard()
        place = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, len(edges) - 2)
        rows = np.arange(len(hazard))
        width = edges[place + 1] - edges[place]
        part = np.clip((at - edges[place]) / width, 0.0, 1.0)
        known = hazard[rows, place] + part * (hazard[rows, place + 1] - hazard[rows, place])
        return np.asarray(-np.expm1(-known))

    def find_quantiles(self, shares: Floats) -> Floats:
        """Find the times by which these shares of such patients have had the event `[N, A]`; the end where the curve
        does not get so far."""
        edges, needed = np.concatenate([[0.0], self.times]), -np.log1p(-shares)
        rows = [np.interp(needed, own, edges, right=self.end) for own in self._compute_hazard()]
        return np.array(rows, dtype=np.float64).reshape(len(self.passed), len(shares))

    def _compute_hazard(self) -> Floats:
        """Compute the cumulative hazard `[N, 1 + G]`, 0 at the start."""
        hazard = -np.log1p(-np.minimum(self.passed, 1 - 1e-12))
        return np.concatenate([np.zeros((len(hazard), 1)), hazard], 1)
