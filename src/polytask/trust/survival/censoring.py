"""The end of follow-up as a random time of its own: how long patients with a certain risk are followed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polytask.array_types import Floats
from polytask.kinds.step_curves import evaluate_step_curve

MAX_STEPS = 30
PRIOR_WEIGHT = 1.0
"""Weight of a normal prior on the log hazard ratio of one standard deviation of the risk."""
LARGEST_RATIO = 3.0
"""The log hazard ratio lies between − this and this."""


@dataclass(frozen=True)
class CensoringModel:
    """A Cox model of the censoring with the predicted risk as its only column.

    Args:
        center, scale: the risk is shifted and divided by these. ratio: log hazard ratio.
        times, hazard: cumulative hazard of the censoring at the center.
    """

    center: float
    scale: float
    ratio: float
    times: tuple[float, ...] = ()
    hazard: tuple[float, ...] = ()

    def evaluate(self, risk: Floats, at: Floats) -> Floats:
        """Compute P(followed until `at` or longer) for risks `[N]`, and times `[N]` or `[N, A]`."""
        hazard = evaluate_step_curve(self.times, self.hazard, at, 0.0, left=True)
        ratio = self._compute_ratio(risk)
        return np.asarray(np.exp(-hazard * (ratio if np.ndim(at) == 1 else ratio[:, None])))

    def find_ends(self, risk: Floats, share: float) -> Floats:
        """Find the latest time `[N]` that at least this share is followed to; infinite where more always are."""
        times = np.append(self.times, np.inf)
        reached = np.searchsorted(self.hazard, -np.log(share) / self._compute_ratio(risk), side="right")
        return np.asarray(times[reached], dtype=np.float64)

    def _compute_ratio(self, risk: Floats) -> Floats:
        return np.asarray(np.exp(self.ratio * np.clip((risk - self.center) / self.scale, -10, 10)))


def fit_censoring(risk: Floats, times: Floats, events: Floats) -> CensoringModel:
    """Fit the model on N patients; at equal times an event comes before a censoring, so that it is at risk no more.

    Censoring that depends on the patient mostly depends on how ill the patient is: that is what the risk says. A weak
    prior keeps the ratio at 0 where few are censored, and the model then is that of Kaplan and Meier.
    """
    center, scale = float(np.mean(risk)), float(np.std(risk)) or 1.0
    z, lost = np.clip((risk - center) / scale, -10, 10), events <= 0
    # From the longest time down; at equal times events come last, so that sums over those at risk leave them out.
    order = np.lexsort((~lost, -times))
    z, t, lost = z[order], times[order], lost[order]
    at, first = np.unique(-t[lost], return_index=True)
    if not len(at):
        return CensoringModel(center, scale, 0.0)
    places = np.flatnonzero(lost)
    # The risk set of a censoring time ends with its last censored patient.
    ends = np.append(places[first[1:] - 1], places[-1])
    counts, sums = np.diff(np.append(first, len(places))), np.add.reduceat(z[lost], first)
    ratio = 0.0
    for _ in range(MAX_STEPS):
        s0, s1, s2 = (np.cumsum(np.exp(ratio * z) * z**k)[ends] for k in (0, 1, 2))
        slope = float((sums - counts * s1 / s0).sum()) - PRIOR_WEIGHT * ratio
        curvature = float((counts * (s2 / s0 - (s1 / s0) ** 2)).sum()) + PRIOR_WEIGHT
        step = slope / curvature
        ratio = float(np.clip(ratio + step, -LARGEST_RATIO, LARGEST_RATIO))
        if abs(step) < 1e-8:
            break
    hazard = np.cumsum((counts / np.cumsum(np.exp(ratio * z))[ends])[::-1])
    return CensoringModel(center, scale, ratio, tuple((-at[::-1]).tolist()), tuple(hazard.tolist()))
