"""What turns a trained model's numbers into decisions: the cut-offs of risk groups and operating points
(`decisions.json`).

Cut-offs come from the training subjects at the end of training. Operating points are chosen on the tune part when
somebody asks for one. Training a network again removes the points of its tasks: they were chosen for other weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any, Literal

from polytask.documents.document_errors import convert_content_errors
from polytask.documents.json_reader import read_json_object
from polytask.kinds import find_answer_form
from polytask.plain import write_plain_json
from polytask.tasks.risk_groups import RISK_GROUP_NAMES
from polytask.tasks.task import Task

DECISIONS_FILE = "decisions.json"
DecisionAim = Literal["sensitivity", "specificity"]


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold on a probability that reaches a requested sensitivity or specificity.

    Args:
        label: label of a multilabel task; "" for a task with two classes, where the second class is the positive one.
        aim, target: which share was requested, and how large it should be.
        threshold: a case is called positive when its probability is at least this.
        n, positives: number of cases it was chosen on, and how many of them were positive.
        part: the part of the data on which it was chosen.
    """

    label: str
    aim: DecisionAim
    target: float
    threshold: float
    n: int
    positives: int
    part: str = "tune"

    @property
    def name(self) -> str:
        """The part of a column name: `at_sensitivity_90`, or `at_sensitivity_90.LABEL`."""
        share = f"at_{self.aim}_{100 * self.target:g}"
        return f"{share}.{self.label}" if self.label else share

    @property
    def request(self) -> tuple[str, str, float]:
        """The request that this point answers: label, aim and target."""
        return (self.label, self.aim, self.target)


@dataclass(frozen=True)
class Decisions:
    """The cut-offs and operating points of one run, or of an ensemble.

    Args:
        cutoffs: survival task → risks that separate its groups, ascending (see `tasks.risk_groups`).
        points: task → its operating points.
    """

    cutoffs: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    points: Mapping[str, tuple[OperatingPoint, ...]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for the JSON file."""
        points = {task: [asdict(p) for p in of_task] for task, of_task in self.points.items()}
        return {
            "polytask": 1,
            "cutoffs": {t: list(c) for t, c in self.cutoffs.items()},
            "operating_points": points,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Decisions:
        """Read the plain values that `as_dict` returned.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: the content is something else.
        """
        points = {}
        for task, entries in content["operating_points"].items():
            points[str(task)] = tuple(OperatingPoint(**entry) for entry in entries)
            for point in points[task]:
                # A file edited by hand could hold any number here; NaN fails this comparison too.
                if not (0 <= float(point.threshold) <= 1 and point.aim in ("sensitivity", "specificity")):
                    raise ValueError(f"operating point of {task}")
        cutoffs = {str(t): tuple(float(c) for c in cuts) for t, cuts in content["cutoffs"].items()}
        for task, cuts in cutoffs.items():
            if len(cuts) not in RISK_GROUP_NAMES or not all(a < b for a, b in pairwise((-inf, *cuts, inf))):
                raise ValueError(f"cut-offs of {task}")
        return cls(cutoffs, points)

    def ensure_fit(self, tasks: Mapping[str, Task]) -> None:
        """Raise ValueError when a cut-off or a threshold belongs to a task that has no such answer."""
        for name in self.cutoffs:
            if name not in tasks or find_answer_form(tasks[name].kind) != "time":
                raise ValueError(f"cut-offs of {name}, which is no survival task")
        for name, points in self.points.items():
            labels = getattr(tasks.get(name), "labels", ())
            two = len(getattr(tasks.get(name), "classes", ())) == 2
            for point in points:
                if not (point.label in labels if point.label else two):
                    raise ValueError(f"operating point of {name}, which has no such answer")

    def with_cutoffs(self, cutoffs: Mapping[str, Sequence[float]], trained: Iterable[str]) -> Decisions:
        """Return the decisions after some tasks were trained: with their new cut-offs and without their operating
        points, which were chosen for the old weights."""
        retrained = set(trained)
        others = {t: c for t, c in self.cutoffs.items() if t not in retrained}
        points = {t: p for t, p in self.points.items() if t not in retrained}
        return Decisions({**others, **{t: tuple(c) for t, c in cutoffs.items()}}, points)

    def with_points(self, task: str, points: Sequence[OperatingPoint]) -> Decisions:
        """Return the decisions with these operating points. A new point replaces the one with the same request."""
        requests = {p.request for p in points}
        others = [p for p in self.points.get(task, ()) if p.request not in requests]
        return Decisions(self.cutoffs, {**self.points, task: (*others, *points)})


def merge_decisions(members: Sequence[Decisions]) -> Decisions:
    """Merge the decisions of an ensemble's members, whose answers are averaged.

    Cut-offs and thresholds are averaged too, and only those that every member has are kept.
    """
    first = members[0]
    if len(members) == 1:
        return first
    cutoffs, points = {}, {}
    for task, own in first.cutoffs.items():
        member_cutoffs = [m.cutoffs.get(task, ()) for m in members]
        if all(len(c) == len(own) for c in member_cutoffs):
            cutoffs[task] = tuple(sum(c) / len(member_cutoffs) for c in zip(*member_cutoffs, strict=True))
    for task in first.points:
        shared = []
        for point in first.points[task]:
            same = [p for m in members for p in m.points.get(task, ()) if p.request == point.request]
            if len(same) == len(members):
                threshold = sum(p.threshold for p in same) / len(same)
                n, positives = sum(p.n for p in same), sum(p.positives for p in same)
                shared.append(replace(point, threshold=threshold, n=n, positives=positives))
        if shared:
            points[task] = tuple(shared)
    return Decisions(cutoffs, points)


def read_decisions(folder: Path) -> Decisions:
    """Read the decisions of a run; they are empty when the run has none."""
    path = folder / DECISIONS_FILE
    if not path.exists():
        return Decisions()
    what, remedy = "the decisions of a run", "restore the file, or train the run again"
    with convert_content_errors(path, what, remedy):
        return Decisions.from_dict(read_json_object(path, what, remedy))


def write_decisions(folder: Path, decisions: Decisions) -> None:
    """Write the file completely or not at all."""
    write_plain_json(folder / DECISIONS_FILE, decisions.as_dict())
