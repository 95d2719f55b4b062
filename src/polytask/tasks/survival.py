"""Time to an event, perhaps not observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from polytask.kinds.curves import Curve, breslow, hazard_at
from polytask.tasks.confusion import NAN
from polytask.tasks.cox import CoxCriterion
from polytask.tasks.hazard import HazardCriterion, expected_time, survival_at
from polytask.tasks.heads import ScoreHead, linear_head
from polytask.tasks.survival_metrics import auc_at, brier_at, concordance
from polytask.tasks.task import Arrays, Level, Prediction

LARGEST_SCORE = 50.0


@dataclass(frozen=True)
class Survival:
    """Time to an event, perhaps not observed: Cox's model (`cox`) or discrete-time hazards (`hazard`).

    Args:
        horizons: times at which probabilities are given and judged.
        bins: right edges of the hazard intervals.
        hazards: training hazard per interval, where a fresh head starts.
        buffer: subjects the Cox risk-set buffer holds.
        censoring: Kaplan–Meier of the censoring, from train: `times`, `survival`.
        baseline: Breslow cumulative hazard, from train with the trained scores: `times`, `hazard`. Without it a Cox
            model orders subjects but gives no probabilities (NaN); with it, up to its last time.
    """

    kind: ClassVar[str] = "survival"
    primary: ClassVar[str] = "c"
    higher: ClassVar[bool] = True

    name: str
    level: Level
    loss: Literal["cox", "hazard"] = "cox"
    unit: str = "days"
    horizons: tuple[float, ...] = ()
    bins: tuple[float, ...] = ()
    hazards: tuple[float, ...] = ()
    buffer: int = 256
    censoring: Curve = field(default_factory=dict)
    baseline: Curve = field(default_factory=dict)
    constant: float = 1.0

    @property
    def outputs(self) -> int:
        """One log hazard ratio, or one hazard an interval."""
        return 1 if self.loss == "cox" else len(self.bins)

    def head(self, features: int, dims: int) -> nn.Module:
        """Cox: no bias. Hazard: starts at the training hazards."""
        if self.loss == "cox":
            return ScoreHead(features)
        even = [1 / (len(self.bins) - m + 1) for m in range(len(self.bins))]
        h = np.clip(np.asarray(self.hazards or even, dtype=np.float64), 1e-6, 1 - 1e-6)
        return linear_head(features, np.log(h / (1 - h)).tolist())

    def criterion(self) -> nn.Module:
        """See `cox.py` and `hazard.py`."""
        return CoxCriterion(self.buffer) if self.loss == "cox" else HazardCriterion(self.bins, self.constant)

    def decode(self, output: Tensor) -> Prediction:
        """`risk [N]` (log hazard ratio, or minus the expected time) and `p [N, horizons]`, NaN where a probability is
        not defined (`explain_undefined`)."""
        output = output.float()
        if self.loss == "hazard":
            return {
                "risk": -expected_time(output, self.bins),
                "p": 1 - survival_at(output, self.bins, self.horizons),
            }
        risk = output.squeeze(1)
        if not self.baseline:
            return {"risk": risk, "p": risk.new_full((len(risk), len(self.horizons)), NAN)}
        at = np.asarray(self.horizons, dtype=np.float64)
        hazard = torch.tensor(hazard_at(self.baseline, at), dtype=torch.float32)
        ratio = risk.clamp(-LARGEST_SCORE, LARGEST_SCORE).exp()
        return {"risk": risk, "p": -torch.expm1(-hazard.to(risk.device) * ratio[:, None])}

    def explain_undefined(self, horizon: float) -> str:
        """Why there is no probability of the event by `horizon`, in a few words; empty where there is one."""
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
        """The same with Breslow's baseline for the trained scores of the training subjects (hazard: unchanged)."""
        return self if self.loss == "hazard" else replace(self, baseline=breslow(risk, times, events))

    def columns(self, prediction: Arrays, row: int) -> dict[str, str | float]:
        """`.risk`, and `.p.T365` for each horizon that has a probability."""
        p = np.asarray(prediction["p"])[row]
        found: dict[str, str | float] = {".risk": float(prediction["risk"][row])}
        return found | {
            f".p.T{t:g}": float(v) for t, v in zip(self.horizons, p, strict=True) if np.isfinite(v)
        }

    def metrics(
        self, prediction: Arrays, value: npt.NDArray[Any], known: npt.NDArray[np.bool_]
    ) -> dict[str, float]:
        """Harrell's C, and per horizon the IPCW AUC and Brier score; `events` beside `n`."""
        known = np.asarray(known, dtype=bool)
        times, events = np.asarray(value, dtype=np.float64)[known].reshape(-1, 2).T
        risk = np.asarray(prediction["risk"], dtype=np.float64)[known]
        p = np.asarray(prediction["p"], dtype=np.float64)[known]
        found = {"n": float(times.size), "events": float((events > 0).sum())}
        found["c"] = concordance(risk, times, events)
        for h, t in enumerate(self.horizons):
            score = p[:, h] if self.loss == "hazard" else risk
            found[f"auc.T{t:g}"] = auc_at(score, times, events, t, self.censoring)
            found[f"brier.T{t:g}"] = brier_at(p[:, h], times, events, t, self.censoring)
        return found

    def skill(self, metrics: Mapping[str, float]) -> float:
        """2C − 1."""
        return 2 * metrics.get("c", NAN) - 1
