"""What every arm cost, beside the sum of the single networks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np

from polytask.plain import plain
from polytask.study.arms import BASELINE
from polytask.study.conclusions.gather import Gathered

WHAT = ("parameters", "training_seconds", "inference_ms", "peak_memory_mb", "device_memory_mb", "disk_mb")


@dataclass(frozen=True)
class Price:
    """Costs of an arm, the mean over its runs, each with all its networks.

    Args:
        runs: how many. relative: each cost ÷ that of the single networks together; below 1 is cheaper.
    """

    runs: int
    parameters: float
    training_seconds: float
    inference_ms: float
    peak_memory_mb: float
    device_memory_mb: float
    disk_mb: float
    relative: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        found: dict[str, Any] = plain(asdict(self))
        return found


def prices(found: Gathered) -> dict[str, Price]:
    """By arm."""
    means = {arm: _means(found, arm) for arm in found.arms}
    base = means.get(BASELINE, {})
    priced = {}
    for arm, costs in means.items():
        known = {w: v for w, v in costs.items() if isfinite(v) and base.get(w, 0) > 0}
        relative = {w: v / base[w] for w, v in known.items()}
        priced[arm] = Price(len(found.of_arm(arm)), relative=relative, **costs)
    return priced


def _means(found: Gathered, arm: str) -> dict[str, float]:
    """Over the runs that noted them."""
    noted = [r.run.record.get("costs") or {} for r in found.of_arm(arm)]
    nan = float("nan")
    rows = [[nan if c.get(w) is None else float(c[w]) for w in WHAT] for c in noted]
    table = np.array(rows, np.float64)
    there = np.isfinite(table)
    sums = np.where(there, table, 0.0).sum(0)
    counts = there.sum(0)
    return {w: float(s / n) if n else nan for w, s, n in zip(WHAT, sums, counts, strict=True)}
