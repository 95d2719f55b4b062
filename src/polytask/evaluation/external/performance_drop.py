"""Measures how much a model loses at another hospital compared with held-out, task by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from polytask.array_types import NAN
from polytask.evaluation.evaluation_result import Estimate, EstimatesByTask
from polytask.evaluation.external.word_gaps import WordGap
from polytask.statistics.independent_difference import BoundedEstimate, subtract_independent


@dataclass(frozen=True)
class PerformanceDrop:
    """One metric on held-out and on the other cohort; the two groups of people are different.

    Args:
        held_out, external: the metric with its interval on each.
        difference: external − held-out; its limits are NaN where either has no interval.
        sentence: the same as a sentence for a reader.
    """

    task: str
    metric: str
    higher: bool
    held_out: BoundedEstimate
    external: BoundedEstimate
    difference: BoundedEstimate
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """Return the drop as plain dicts for JSON."""
        figures = {k: getattr(self, k)._asdict() for k in ("held_out", "external", "difference")}
        return {
            "task": self.task,
            "metric": self.metric,
            "higher": self.higher,
            **figures,
            "sentence": self.sentence,
        }


def find_performance_drops(
    tasks: Mapping[str, Mapping[str, Any]],
    external: EstimatesByTask,
    held_out: Sequence[EstimatesByTask],
    counts: Mapping[str, Mapping[str, Any]],
    gaps: Sequence[WordGap],
    place: str,
) -> list[PerformanceDrop]:
    """Find the drop of the primary metric of each task. Where that is a mean over structures, labels or classes of
    which the cohort lacks some, one drop is found for each that both have.

    Args:
        tasks: description of each task, as in an evaluation.
        external: estimates at the other hospital. held_out: estimates of each member of the model, or empty.
        counts: what the external estimates rest on. gaps: what the cohort lacks. place: name of the cohort.
    """
    drops = []
    for name, task in tasks.items():
        lacking = [w for g in gaps if g.section == "labels" and g.place == name for w in g.ours]
        first, higher = str(task["primary"]), bool(task["higher"])
        metrics = [first]
        # A mean over parts of which some are missing is no mean of the same thing.
        if lacking or not _is_metric_defined(external[name], first):
            metrics = [
                m for w in task["names"] if _is_metric_defined(external[name], m := f"{first}.{w}")
            ] or [first]
        nobody = [c for c, n in counts[name].get("classes", {}).items() if n == 0]
        for metric in metrics:
            there = _average_members([external[name].get(metric)])
            here = _average_members([m.get(name, {}).get(metric) for m in held_out])
            # Not paired: the two groups of people are different, so the variances add up.
            change = subtract_independent(there, here)
            text = _describe_drop(name, metric, higher, here, there, change, len(held_out), place)
            if nobody and isfinite(change.estimate):
                text += f" (not over the same classes: nobody at {place} is {' or '.join(nobody)})"
            drops.append(PerformanceDrop(name, metric, higher, here, there, change, text))
    return drops


def _is_metric_defined(metrics: Mapping[str, Estimate], name: str) -> bool:
    return name in metrics and isfinite(metrics[name].estimate)


def _average_members(estimates: Sequence[Estimate | None]) -> BoundedEstimate:
    """Average the estimates of the members. The interval is as wide as theirs on average, because their patients
    overlap and more members are not more evidence."""
    known = [e for e in estimates if e is not None]
    if not known or len(known) < len(estimates):
        return BoundedEstimate(NAN, NAN, NAN)
    columns = [[e.estimate for e in known], [e.low for e in known], [e.high for e in known]]
    return BoundedEstimate(*(sum(c) / len(c) for c in columns))


def _describe_drop(
    task: str,
    metric: str,
    higher: bool,
    here: BoundedEstimate,
    there: BoundedEstimate,
    change: BoundedEstimate,
    members: int,
    place: str,
) -> str:
    """Write the drop as a sentence; where one side has no interval, no difference is given."""
    start = f"{task}: {metric}{'' if higher else ' (lower is better)'}"
    if not members:
        return f"{start}: no drop from held-out, because the model was not evaluated on held-out"
    at = "at held-out" if members == 1 else f"at held-out (mean of its {members} members, each alone)"
    if not isfinite(here.estimate):
        return f"{start}: no drop from held-out, because it is not defined {at}"
    if not isfinite(there.estimate):
        return f"{start}: no drop from held-out, because it is not defined at {place}"
    figures = f"{start} {format_figure(here.estimate)} {at}, {format_figure(there.estimate)} at {place}"
    if not isfinite(change.low):
        short = "held-out" if not isfinite(here.low) else place
        return f"{figures}; no drop is given, because there is no interval at {short} (too few)"
    return (
        f"{figures}: {format_signed_figure(change.estimate)} ({format_signed_figure(change.low)} to "
        f"{format_signed_figure(change.high)})"
    )


def format_figure(value: float) -> str:
    """Format a number with two decimals, with fewer for large numbers."""
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"


def format_signed_figure(value: float) -> str:
    """Format a number with its sign, with a true minus sign (−); a number that rounds to zero has no sign."""
    text = format_figure(abs(value))
    return text if not float(text) else f"{'−' if value < 0 else '+'}{text}"
