"""Survival of groups by predicted risk: Kaplan–Meier curves with numbers at risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask.tasks.curves import kaplan_meier

Floats = npt.NDArray[np.float64]
THIRDS_FROM = 30
"""Subjects from which on there are three groups instead of two."""
NAMES = {1: ("all",), 2: ("lower risk", "higher risk"), 3: ("low risk", "middle risk", "high risk")}


@dataclass(frozen=True)
class Group:
    """Subjects of like risk.

    Args:
        name: of the group. times, survival: the steps of its Kaplan–Meier curve (1 before the first).
        censored: times at which somebody left without the event. n, events: how many.
    """

    name: str
    times: tuple[float, ...]
    survival: tuple[float, ...]
    censored: tuple[float, ...]
    n: int
    events: int
    followed: tuple[float, ...]
    """Every subject's own time."""

    def at_risk(self, times: Sequence[float]) -> list[int]:
        """How many are still followed just before each time."""
        own = np.asarray(self.followed)
        return [int((own >= t).sum()) for t in times]


def risk_groups(risk: npt.ArrayLike, times: npt.ArrayLike, events: npt.ArrayLike) -> list[Group]:
    """Thirds by risk (halves with fewer than 30 subjects, one group when all risks are equal), low risk first."""
    r, t, e = np.asarray(risk, np.float64), np.asarray(times, np.float64), np.asarray(events) > 0
    if not r.size:
        return []
    count = 3 if r.size >= THIRDS_FROM else 2
    edges = np.quantile(r, np.linspace(0, 1, count + 1)[1:-1])
    place = np.searchsorted(edges, r, side="left")
    there = np.unique(place)
    names = NAMES[len(there)]
    return [_group(names[k], t[place == v], e[place == v]) for k, v in enumerate(there)]


def _group(name: str, times: Floats, events: npt.NDArray[np.bool_]) -> Group:
    curve = kaplan_meier(times, events.astype(np.float64))
    return Group(
        name,
        curve["times"],
        curve["survival"],
        tuple(np.sort(times[~events]).tolist()),
        int(times.size),
        int(events.sum()),
        tuple(times.tolist()),
    )
