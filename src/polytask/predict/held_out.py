"""How good a model was on its held-out part, with all inputs and with some of them hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from polytask.documents.json_reader import find_json_object

INPUT_SEPARATOR = ";"
"""The sign between the inputs of a combination, as in the column `inputs_missing`."""
METRIC_LABELS = {
    "auc": "AUC",
    "c": "C-index",
    "dice": "Dice",
    "kappa": "quadratic κ",
    "r2": "R²",
    "mae": "MAE",
}
"""Primary metric → how it is written for people; others are written by their name."""


class MetricValue(NamedTuple):
    """The value of a primary metric, and the number of known items it was computed from."""

    value: float
    n: int


@dataclass(frozen=True)
class HeldOutMetrics:
    """The primary metrics of one member on its held-out part, with all inputs and with some hidden.

    Args:
        plain: task → its primary metric with every input as it was.
        hidden: combination of inputs and channels → task → the metric when they are hidden from every case.
        needed: combinations that leave nothing to predict from when they are hidden.
    """

    plain: dict[str, MetricValue] = field(default_factory=dict)
    hidden: dict[tuple[str, ...], dict[str, MetricValue]] = field(default_factory=dict)
    needed: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of(cls, content: Any, primary: Mapping[str, str]) -> HeldOutMetrics | None:
        """Parse what an evaluation wrote (`metrics`, `hidden`, `needed`); None where it is not of that form.

        Args:
            primary: task → its primary metric.
        """
        try:
            return cls(
                {
                    t: _parse_held_out_value(m[primary[t]])
                    for t, m in content["metrics"].items()
                    if t in primary
                },
                {
                    split_combination(key): {
                        t: _parse_held_out_value(e) for t, e in metrics.items() if t in primary
                    }
                    for key, metrics in (content.get("hidden") or {}).items()
                },
                tuple(split_combination(key) for key in content.get("needed") or ()),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return None


def read_held_out_metrics(
    run: Path, weights: Mapping[str, str], primary: Mapping[str, str]
) -> HeldOutMetrics | None:
    """Read the metrics in a run's `evaluation.json`; None where it is missing or of other weights (sha256s)."""
    content = read_evaluation(run)
    return (
        HeldOutMetrics.of(content, primary) if content and content.get("weights") == dict(weights) else None
    )


def read_evaluation(run: Path) -> dict[str, Any] | None:
    """Read what `evaluate` wrote about the held-out part; None where it wrote nothing."""
    return find_json_object(run / "evaluation.json") or None


def split_combination(key: str) -> tuple[str, ...]:
    """Split the key of a combination into its inputs and channels."""
    return tuple(key.split(INPUT_SEPARATOR))


def average_metric_values(figures: Sequence[MetricValue | None]) -> MetricValue | None:
    """Average a metric over the members of an ensemble, each on its own held-out part; None where one has none."""
    # The mean over some members only would look like that of the ensemble.
    known = [f for f in figures if f is not None and isfinite(f.value)]
    if not known or len(known) < len(figures):
        return None
    return MetricValue(sum(f.value for f in known) / len(known), sum(f.n for f in known))


def _parse_held_out_value(entry: Mapping[str, Any]) -> MetricValue:
    value = entry["estimate"]
    return MetricValue(float("nan") if value is None else float(value), int(entry["n"]))
