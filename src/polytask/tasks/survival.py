"""Head, loss, decoding and metrics of survival: the time to an event that may not be observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from polytask.array_types import NAN
from polytask.kinds.step_curves import TimeCurve, estimate_breslow_hazard, evaluate_hazard
from polytask.tasks.cox_criterion import CoxCriterion
from polytask.tasks.hazard_criterion import HazardCriterion, compute_expected_time, interpolate_survival
from polytask.tasks.heads_and_losses import ScoreHead, make_linear_head
from polytask.tasks.survival_metrics import compute_concordance, compute_horizon_auc, compute_horizon_brier
from polytask.tasks.task import Arrays, Conditions, Criterion, Prediction, TaskLevel

MAX_RISK_SCORE = 50.0
"""Log hazard ratios are limited to ± this before the exponential, so that it cannot overflow."""


@dataclass(frozen=True)
class Survival:
    """Time to an event, perhaps not observed: Cox's model (`cox`) or discrete-time hazards (`hazard`).

    Args:
        horizons: times at which probabilities are predicted and evaluated.
        bins: right edges of the hazard intervals.
        hazards: training hazard of each interval, at which a new head starts.
        buffer: number of subjects that the risk-set buffer of the Cox loss holds.
        censoring: Kaplan–Meier curve of the censoring in train: `times`, `survival`.
        landmarks: visits at which the risk is judged, each with the Kaplan–Meier curve of the censoring among those at
            risk there; times then count from the visit. Empty for all other tasks.
        baseline: Breslow's cumulative hazard in train, from the trained scores: `times`, `hazard`. Without it a Cox
            model orders subjects but has no probabilities (NaN); with it, it has them up to the last time.
    """

    kind: ClassVar[str] = "survival"
    primary: ClassVar[str] = "c"
    higher: ClassVar[bool] = True

    name: str
    level: TaskLevel
    loss: Literal["cox", "hazard"] = "cox"
    unit: str = "days"
    horizons: tuple[float, ...] = ()
    bins: tuple[float, ...] = ()
    hazards: tuple[float, ...] = ()
    buffer: int = 256
    censoring: TimeCurve = field(default_factory=dict)
    baseline: TimeCurve = field(default_factory=dict)
    landmarks: Mapping[str, TimeCurve] = field(default_factory=dict)
    constant: float = 1.0
    applies_when: Conditions = field(default_factory=dict)

    @property
    def outputs(self) -> int:
        """Number of channels: one log hazard ratio, or one hazard for each interval."""
        return 1 if self.loss == "cox" else len(self.bins)

    def head(self, features: int, dims: int) -> nn.Module:
        """Make the head: without bias for Cox; for hazards it starts at the training hazards."""
        if self.loss == "cox":
            return ScoreHead(features)
        # Without training hazards: 1/(M + 1), 1/M, …, 1/2 give every interval, and the survivors, the same share.
        even = [1 / (len(self.bins) - m + 1) for m in range(len(self.bins))]
        h = np.clip(np.asarray(self.hazards or even, dtype=np.float64), 1e-6, 1 - 1e-6)
        return make_linear_head(features, np.log(h / (1 - h)).tolist())

    def criterion(self) -> Criterion:
        """Make the loss, see `cox_criterion.py` and `hazard_criterion.py`."""
        return CoxCriterion(self.buffer) if self.loss == "cox" else HazardCriterion(self.bins, self.constant)

    def decode(self, output: Tensor) -> Prediction:
        """Turn the output into `risk [N]` (log hazard ratio, or minus the expected time) and `p [N, horizons]`.

        `p` is the probability of the event by each horizon, NaN where it is not defined (see `explain_undefined`).
        """
        output = output.float()
        if self.loss == "hazard":
            return {
                "risk": -compute_expected_time(output, self.bins),
                "p": 1 - interpolate_survival(output, self.bins, self.horizons),
            }
        risk = output.squeeze(1)
        if not self.baseline:
            return {"risk": risk, "p": risk.new_full((len(risk), len(self.horizons)), NAN)}
        at = np.asarray(self.horizons, dtype=np.float64)
        hazard = torch.tensor(evaluate_hazard(self.baseline, at), dtype=torch.float32)
        ratio = risk.clamp(-MAX_RISK_SCORE, MAX_RISK_SCORE).exp()
        # expm1 keeps the digits of 1 − exp(−x) for small x, that is for early horizons.
        return {"risk": risk, "p": -torch.expm1(-hazard.to(risk.device) * ratio[:, None])}

    def explain_undefined(self, horizon: float) -> str:
        """Explain in a few words why there is no probability of the event by `horizon`; empty if there is one."""
        unit = f" {self.unit}" if self.unit else ""
        if self.loss == "hazard":
            if horizon <= self.bins[-1]:
                return ""
            return f"no event in training later than {self.bins[-1]:g}{unit}, where the intervals end"
        if not self.baseline:
            return "no baseline hazard was learned in training"
        if horizon <= (end := max(self.baseline["times"], default=0.0)):
            return ""
        return f"nobody in training was followed for longer than {end:g}{unit}"

    def with_baseline(
        self, risk: Sequence[float], times: Sequence[float], events: Sequence[float]
    ) -> Survival:
        """Return the task with Breslow's baseline for the trained scores of the training subjects.

        `risk`, `times` and `events` have one entry per subject. A task with the loss `hazard` needs no baseline.
        """
        return (
            self
            if self.loss == "hazard"
            else replace(self, baseline=estimate_breslow_hazard(risk, times, events))
        )

    def columns(self, prediction: Arrays, row: int) -> dict[str, str | float]:
        """Make the cells of one row: `.risk`, and `.p.T365` for each horizon that has a probability."""
        p = np.asarray(prediction["p"])[row]
        cells: dict[str, str | float] = {".risk": float(prediction["risk"][row])}
        return cells | {
            f".p.T{t:g}": float(v) for t, v in zip(self.horizons, p, strict=True) if np.isfinite(v)
        }

    def metrics(
        self, prediction: Arrays, value: npt.NDArray[Any], known: npt.NDArray[np.bool_]
    ) -> dict[str, float]:
        """Compute Harrell's C, and the IPCW AUC and Brier score of each horizon; `n` and `events` count the items.

        A task with landmarks has only C here: its other metrics need the visit of each item (`horizon_metrics.py`).
        """
        known = np.asarray(known, dtype=bool)
        times, events = np.asarray(value, dtype=np.float64)[known].reshape(-1, 2).T
        risk = np.asarray(prediction["risk"], dtype=np.float64)[known]
        p = np.asarray(prediction["p"], dtype=np.float64)[known]
        metrics = {"n": float(times.size), "events": float((events > 0).sum())}
        metrics["c"] = compute_concordance(risk, times, events)
        for h, t in enumerate(() if self.landmarks else self.horizons):
            # A Cox model orders subjects the same way at every horizon, and its risk exists even without a baseline.
            score = p[:, h] if self.loss == "hazard" else risk
            metrics[f"auc.T{t:g}"] = compute_horizon_auc(score, times, events, t, self.censoring)
            metrics[f"brier.T{t:g}"] = compute_horizon_brier(p[:, h], times, events, t, self.censoring)
        return metrics

    def skill(self, metrics: Mapping[str, float]) -> float:
        """Compute 2C − 1 from Harrell's C."""
        return 2 * metrics.get("c", NAN) - 1
