"""Δm: one number for all tasks, relative to the single networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from polytask.plain import make_plain

DELTA_M_FORMULA = (
    "Δm = mean over tasks of (−1)^[lower is better] × (M_arm − M_single) / |M_single| × 100; higher is better"
)


@dataclass(frozen=True)
class DeltaM:
    """The mean relative gain in percent.

    Args:
        value: None when it is not defined (no task counts).
        tasks: task → its own relative gain, for the tasks that count.
        left_out: task → why it does not count.
    """

    value: float | None
    tasks: dict[str, float]
    left_out: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, with the formula."""
        plain_values: dict[str, Any] = make_plain(asdict(self) | {"formula": DELTA_M_FORMULA})
        return plain_values


def compute_delta_m(
    arm: Mapping[str, float],
    single: Mapping[str, float],
    higher: Mapping[str, bool],
    beats_chance: Mapping[str, bool],
) -> DeltaM:
    """Compute Δm as in `DELTA_M_FORMULA`: HIGHER IS BETTER (the literature often turns the sign).

    Only tasks count whose single network beats chance: the lower end of its skill's interval is above 0, which the
    caller checks. A relative change of a κ, a C − ½ or an R² near 0 says nothing and may have any size.

    Args:
        arm, single: task → primary metric, in the same unit.
        higher: task → whether more of it is better.
        beats_chance: task → whether its single network does.
    """
    gains: dict[str, float] = {}
    left_out: dict[str, str] = {}
    for task in single:
        m, base = arm.get(task, float("nan")), single[task]
        if not beats_chance[task]:
            left_out[task] = "its single network does not clearly beat chance"
        elif not (np.isfinite(m) and np.isfinite(base)):
            left_out[task] = "its metric is not defined"
        elif base == 0:
            left_out[task] = "the metric of its single network is 0"
        else:
            gains[task] = float((1 if higher[task] else -1) * (m - base) / abs(base) * 100)
    return DeltaM(float(np.mean(list(gains.values()))) if gains else None, gains, left_out)
