"""What turns a trained model's numbers into decisions: cut-offs of risk groups and operating points (`decisions.json`).

Cut-offs come from the training subjects at the end of training. Operating points are chosen on the tune part when
somebody asks for one; training a network again removes those of its tasks, for they were chosen for other weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any, Literal

from polytask.documents.fault import refuse_odd_content
from polytask.documents.json_reader import read_json_object
from polytask.kinds import answer_form
from polytask.plain import write_json
from polytask.tasks.risk_groups import NAMES
from polytask.tasks.task import Task

FILE = "decisions.json"
Aim = Literal["sensitivity", "specificity"]


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold on a probability that holds a stated share.

    Args:
        label: label of a multilabel task; "" for a task with two classes, where the second is the positive one.
        aim, target: the share that was asked for, and how much of it.
        threshold: positive is called what has at least this probability.
        n, positives: cases it was chosen on, and how many of them were positive.
        part: where it was chosen.
    """

    label: str
    aim: Aim
    target: float
    threshold: float
    n: int
    positives: int
    part: str = "tune"

    @property
    def name(self) -> str:
        """Part of a column's name: `at_sensitivity_90`, `at_sensitivity_90.LABEL`."""
        share = f"at_{self.aim}_{100 * self.target:g}"
        return f"{share}.{self.label}" if self.label else share

    @property
    def asked(self) -> tuple[str, str, float]:
        """What was asked for, without the answer."""
        return (self.label, self.aim, self.target)


@dataclass(frozen=True)
class Decisions:
    """Of one run, or of an ensemble.

    Args:
        cutoffs: survival task → risks that part its groups, ascending (see `tasks.risk_groups`).
        points: task → its operating points.
    """

    cutoffs: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    points: Mapping[str, tuple[OperatingPoint, ...]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain form."""
        points = {task: [asdict(p) for p in found] for task, found in self.points.items()}
        return {
            "polytask": 1,
            "cutoffs": {t: list(c) for t, c in self.cutoffs.items()},
            "operating_points": points,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Decisions:
        """What `as_dict` gave.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: it is something else.
        """
        points = {}
        for task, found in content["operating_points"].items():
            points[str(task)] = tuple(OperatingPoint(**entry) for entry in found)
            for point in points[task]:
                if not (0 <= float(point.threshold) <= 1 and point.aim in ("sensitivity", "specificity")):
                    raise ValueError(f"operating point of {task}")
        cutoffs = {str(t): tuple(float(c) for c in found) for t, found in content["cutoffs"].items()}
        for task, cuts in cutoffs.items():
            if len(cuts) not in NAMES or not all(a < b for a, b in pairwise((-inf, *cuts, inf))):
                raise ValueError(f"cut-offs of {task}")
        return cls(cutoffs, points)

    def ensure_fit(self, tasks: Mapping[str, Task]) -> None:
        """Raise ValueError where a group or threshold is of a task that has no such answer."""
        for name in self.cutoffs:
            if name not in tasks or answer_form(tasks[name].kind) != "time":
                raise ValueError(f"cut-offs of {name}, which is no survival task")
        for name, points in self.points.items():
            labels = getattr(tasks.get(name), "labels", ())
            two = len(getattr(tasks.get(name), "classes", ())) == 2
            for point in points:
                if not (point.label in labels if point.label else two):
                    raise ValueError(f"operating point of {name}, which has no such answer")

    def with_cutoffs(self, cutoffs: Mapping[str, Sequence[float]], trained: Iterable[str]) -> Decisions:
        """After tasks were trained: their cut-offs, and no operating point chosen for the weights before."""
        gone = set(trained)
        kept = {t: c for t, c in self.cutoffs.items() if t not in gone}
        points = {t: p for t, p in self.points.items() if t not in gone}
        return Decisions({**kept, **{t: tuple(c) for t, c in cutoffs.items()}}, points)

    def with_points(self, task: str, points: Sequence[OperatingPoint]) -> Decisions:
        """With operating points; one asked for before is replaced."""
        asked = {p.asked for p in points}
        kept = [p for p in self.points.get(task, ()) if p.asked not in asked]
        return Decisions(self.cutoffs, {**self.points, task: (*kept, *points)})


def merge_decisions(members: Sequence[Decisions]) -> Decisions:
    """Of an ensemble, whose answers are the mean of its members': the mean of their cut-offs and thresholds, where all
    have them."""
    first = members[0]
    if len(members) == 1:
        return first
    cutoffs, points = {}, {}
    for task, own in first.cutoffs.items():
        found = [m.cutoffs.get(task, ()) for m in members]
        if all(len(c) == len(own) for c in found):
            cutoffs[task] = tuple(sum(c) / len(found) for c in zip(*found, strict=True))
    for task in first.points:
        shared = []
        for point in first.points[task]:
            same = [p for m in members for p in m.points.get(task, ()) if p.asked == point.asked]
            if len(same) == len(members):
                threshold = sum(p.threshold for p in same) / len(same)
                n, positives = sum(p.n for p in same), sum(p.positives for p in same)
                shared.append(replace(point, threshold=threshold, n=n, positives=positives))
        if shared:
            points[task] = tuple(shared)
    return Decisions(cutoffs, points)


def read_decisions(folder: Path) -> Decisions:
    """Of a run; empty when it has none."""
    path = folder / FILE
    if not path.exists():
        return Decisions()
    what, remedy = "the decisions of a run", "restore the file, or train the run again"
    with refuse_odd_content(path, what, remedy):
        return Decisions.from_dict(read_json_object(path, what, remedy))


def write_decisions(folder: Path, decisions: Decisions) -> None:
    """Whole or not at all."""
    write_json(folder / FILE, decisions.as_dict())
