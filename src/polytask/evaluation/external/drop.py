"""How much of the held-out figures is left at another hospital, task by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from polytask.evaluation.external.gaps import Gap
from polytask.evaluation.result import Estimate, Metrics
from polytask.statistics.independent import Bounded, subtract_independent

NAN = float("nan")


@dataclass(frozen=True)
class Drop:
    """One metric at held-out and elsewhere; the two are of different people.

    Args:
        difference: elsewhere − held-out; its limits are NaN where either has no interval.
        sentence: the same for a reader.
    """

    task: str
    metric: str
    higher: bool
    held_out: Bounded
    external: Bounded
    difference: Bounded
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """Plain form."""
        figures = {k: getattr(self, k)._asdict() for k in ("held_out", "external", "difference")}
        return {
            "task": self.task,
            "metric": self.metric,
            "higher": self.higher,
            **figures,
            "sentence": self.sentence,
        }


def find_drops(
    tasks: Mapping[str, Mapping[str, Any]],
    external: Metrics,
    held_out: Sequence[Metrics],
    counts: Mapping[str, Mapping[str, Any]],
    gaps: Sequence[Gap],
    place: str,
) -> list[Drop]:
    """One a task, of its primary metric; where the cohort lacks structures, labels or classes that it is the mean over,
    one for each that both have.

    Args:
        tasks: description of each task, as in an evaluation.
        external: estimates at the other hospital. held_out: of each member of the model, or none.
        counts: what the external estimates rest on. gaps: what the cohort lacks. place: its name.
    """
    found = []
    for name, task in tasks.items():
        lacking = [w for g in gaps if g.section == "labels" and g.place == name for w in g.ours]
        first, higher = str(task["primary"]), bool(task["higher"])
        metrics = [first]
        if lacking or not _there(external[name], first):  # a mean over parts that are not all there
            metrics = [m for w in task["names"] if _there(external[name], m := f"{first}.{w}")] or [first]
        nobody = [c for c, n in counts[name].get("classes", {}).items() if n == 0]
        for metric in metrics:
            there = _bounded([external[name].get(metric)])
            here = _bounded([m.get(name, {}).get(metric) for m in held_out])
            change = subtract_independent(there, here)
            text = _sentence(name, metric, higher, here, there, change, len(held_out), place)
            if nobody and isfinite(change.estimate):
                text += f" (not over the same classes: nobody at {place} is {' or '.join(nobody)})"
            found.append(Drop(name, metric, higher, here, there, change, text))
    return found


def _there(metrics: Mapping[str, Estimate], name: str) -> bool:
    return name in metrics and isfinite(metrics[name].estimate)


def _bounded(estimates: Sequence[Estimate | None]) -> Bounded:
    """One estimate, or the mean over members: as wide as they are on average, for their patients overlap."""
    known = [e for e in estimates if e is not None]
    if not known or len(known) < len(estimates):
        return Bounded(NAN, NAN, NAN)
    columns = [[e.estimate for e in known], [e.low for e in known], [e.high for e in known]]
    return Bounded(*(sum(c) / len(c) for c in columns))


def _sentence(
    task: str,
    metric: str,
    higher: bool,
    here: Bounded,
    there: Bounded,
    change: Bounded,
    members: int,
    place: str,
) -> str:
    """For a reader; without an interval on either side no difference is named."""
    start = f"{task}: {metric}{'' if higher else ' (lower is better)'}"
    if not members:
        return f"{start}: no drop from held-out, for the model was not evaluated on held-out"
    at = "at held-out" if members == 1 else f"at held-out (mean of its {members} members, each alone)"
    if not isfinite(here.estimate):
        return f"{start}: no drop from held-out, for it is not defined {at}"
    if not isfinite(there.estimate):
        return f"{start}: no drop from held-out, for it is not defined at {place}"
    figures = f"{start} {number(here.estimate)} {at}, {number(there.estimate)} at {place}"
    if not isfinite(change.low):
        short = "held-out" if not isfinite(here.low) else place
        return f"{figures}; no drop is named, for there is no interval at {short} (too few)"
    return f"{figures}: {signed(change.estimate)} ({signed(change.low)} to {signed(change.high)})"


def number(value: float) -> str:
    """Two decimals, fewer for large numbers."""
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"


def signed(value: float) -> str:
    """With its sign, − as a typographer writes it; what rounds to zero has none."""
    text = number(abs(value))
    return text if not float(text) else f"{'−' if value < 0 else '+'}{text}"
