"""The costs of every arm, compared with the sum of the single networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from statistics import fmean
from typing import Any, Literal

from polytask.plain import make_plain
from polytask.study.arms import BASELINE
from polytask.study.conclusions.finished_runs import GatheredRuns
from polytask.study.study_design import RatioQuartiles

TIMED_COSTS = ("training_seconds", "inference_ms")
"""Costs for which the quickest run of an arm counts: other work on the machine can only make a run slower."""
MAX_TRAINING_TIME_RATIO = 1.5
"""All runs of an arm take the same steps. Times that differ by more than this factor mean other work on the machine."""
COST_NAMES = (
    "parameters",
    "training_seconds",
    "inference_ms",
    "peak_memory_mb",
    "device_memory_mb",
    "disk_mb",
)


@dataclass(frozen=True)
class ArmCosts:
    """The costs of an arm: the mean over its runs, and for times the quickest run. A run counts all its networks.

    Args:
        runs: number of finished runs.
        uneven: training time of the slowest run ÷ that of the quickest run.
        relative: each cost ÷ that of the single networks together; below 1 is cheaper.
        compute: a training step ÷ one step of each single network, timed side by side before the first run.
    """

    runs: int
    parameters: float
    training_seconds: float
    inference_ms: float
    peak_memory_mb: float
    device_memory_mb: float
    disk_mb: float
    uneven: float
    relative: dict[str, float]
    compute: RatioQuartiles | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the costs as plain data for JSON."""
        content: dict[str, Any] = make_plain(asdict(self))
        return content


def compute_arm_costs(gathered: GatheredRuns) -> dict[str, ArmCosts]:
    """Compute the costs of every arm that has finished runs."""
    tables = {arm: _read_noted_costs(gathered, arm) for arm in gathered.arms}
    costs = {arm: {w: _summarize_cost(w, table[w]) for w in COST_NAMES} for arm, table in tables.items()}
    base, paces = costs.get(BASELINE, {}), gathered.study.design.paces
    costs_by_arm = {}
    for arm, own_costs in costs.items():
        # A ratio needs a finite value and a baseline above 0; a study without finished `single` runs has no ratios.
        known = {w: v for w, v in own_costs.items() if isfinite(v) and base.get(w, 0) > 0}
        seconds = tables[arm]["training_seconds"]
        costs_by_arm[arm] = ArmCosts(
            runs=len(gathered.of_arm(arm)),
            uneven=max(seconds) / min(seconds) if seconds and min(seconds) > 0 else 1.0,
            relative={w: v / base[w] for w, v in known.items()},
            compute=paces[arm].beside if arm in paces else None,
            **own_costs,
        )
    return costs_by_arm


TrainingCostScale = Literal["compute", "training time", "seconds"]


def compare_training_costs(
    arm_costs: Mapping[str, ArmCosts], arms: Iterable[str]
) -> tuple[TrainingCostScale, dict[str, float]]:
    """Compare the training costs of arms on one scale: the first of three that all of these arms have.

    `compute` of a step and `training time` of a run are multiples of the single networks'; `seconds` are absolute. An
    arm without a value is left out.
    """
    known = {a: arm_costs[a] for a in arms if a in arm_costs}
    compute = {a: p.compute.median for a, p in known.items() if p.compute}
    time = {a: p.relative["training_seconds"] for a, p in known.items() if "training_seconds" in p.relative}
    seconds = {a: p.training_seconds for a, p in known.items() if isfinite(p.training_seconds)}
    # Costs of different scales must never be compared, so one scale is used only if it covers as many arms as any
    # other.
    if len(compute) >= max(len(time), len(seconds)):
        return "compute", compute
    return ("training time", time) if len(time) >= len(seconds) else ("seconds", seconds)


def _read_noted_costs(gathered: GatheredRuns, arm: str) -> dict[str, list[float]]:
    """Read the costs that the runs of an arm noted: name → values of the runs that have one."""
    noted = [r.run.record.get("costs") or {} for r in gathered.of_arm(arm)]
    return {w: [float(c[w]) for c in noted if c.get(w) is not None and isfinite(c[w])] for w in COST_NAMES}


def _summarize_cost(what: str, values: list[float]) -> float:
    if not values:
        return float("nan")
    return min(values) if what in TIMED_COSTS else fmean(values)
