"""What a subject brings to each task, as marks: its classes, events, labels, what is known of it, its site.

Splits are stratified over all marks together, and a fold's train part must hold every mark that a task needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import yaml

from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.header import Dose, Header, Multilabel, Ordinal, Regression, Segmentation, Survival, Task
from polytask.cohort.tasks import PooledTask, answers
from polytask.cohort.values import ABSENT, Value, pooled_value, voxel_source

BANDS = 3
"""A regression's values are stratified in that many equal parts."""


@dataclass(frozen=True, order=True)
class Mark:
    """One thing that is known of a subject.

    Args:
        task: the task, or `site`.
        word: class, `event`, `censored`, `LABEL=1`, structure, band; "" = something is known.
    """

    task: str
    word: str = ""


@dataclass(frozen=True)
class Need:
    """A mark without which a task cannot be learnt.

    Args:
        column: where it stands in the table.
        what: how a person would call it, e.g. "class 'G3'".
        remedy: what to do when it is too rare.
    """

    mark: Mark
    column: str
    what: str
    remedy: str


def marks(cohort: Cohort, subjects: Iterable[str]) -> dict[str, frozenset[Mark]]:
    """Subject → its marks, read from header and table alone (masks and doses count as known by their cells)."""
    chosen = list(subjects)
    found: dict[str, set[Mark]] = {s: set() for s in chosen}
    for subject in chosen:
        cases = cohort.subjects[subject]
        if cases[0].site:
            found[subject].add(Mark("site", cases[0].site))
        for name, task in cohort.header.tasks.items():
            if isinstance(task, Segmentation | Dose):
                found[subject] |= _voxel_marks(cohort, cases, name, task)
            elif not isinstance(task, Regression):
                for value in _values(cohort, cases, name, task):
                    found[subject] |= _pooled_marks(value, name, task)
    for name, task in cohort.header.tasks.items():
        if isinstance(task, Regression):
            for subject, mark in _bands(cohort, chosen, name, task).items():
                found[subject] |= {Mark(name), mark}
    return {subject: frozenset(own) for subject, own in found.items()}


def needed(header: Header) -> list[Need]:
    """Every mark that `train` must hold, in the order of the tasks."""
    found = []
    for name, task in header.tasks.items():
        stem = task.column or name
        if isinstance(task, Survival):
            more = "bring more follow-up, or remove the task"
            found.append(Need(Mark(name, "event"), f"{stem}_event", "an observed event", more))
        elif isinstance(task, Multilabel):
            for label in task.labels:
                for bit, state in (("1", "present"), ("0", "absent")):
                    remedy = f"bring more such subjects, or remove {label!r} from the header"
                    found.append(
                        Need(
                            Mark(name, f"{label}={bit}"),
                            f"{stem}.{label}",
                            f"label {label!r} {state}",
                            remedy,
                        )
                    )
        elif isinstance(task, Segmentation):
            for structure in task.names:
                remedy = f"bring more masks, or remove {structure!r} from the header"
                found.append(Need(Mark(name, structure), stem, f"structure {structure!r} known", remedy))
        elif isinstance(task, Dose | Regression):
            found.append(Need(Mark(name), stem, "a known value", "fill more cells, or remove the task"))
        else:
            for word in answers(task):
                remedy = f"bring more such subjects, or {_suggest_cure(name, task, word)}"
                found.append(Need(Mark(name, word), stem, f"class {word!r}", remedy))
    return found


def _suggest_cure(name: str, task: Task, word: str) -> str:
    """What to write into the header so that a rare class is no class of its own."""
    classes = answers(task)
    if len(classes) < 3:
        return f"remove the task {name!r}: no other class would be left"
    place = classes.index(word)
    other = classes[place - 1] if place else classes[1]
    merge = yaml.safe_dump({word: other}, default_flow_style=True, width=1000).strip()
    unknown = yaml.safe_dump([word], default_flow_style=True, width=1000).strip()
    which = "" if isinstance(task, Ordinal) else " (or another class)"
    return f"write `merge: {merge}`{which} or `unknown: {unknown}` in task {name!r} of cohort.yaml"


def _values(cohort: Cohort, cases: tuple[Case, ...], name: str, task: PooledTask) -> list[Value]:
    """Known answers of a subject: one, or one per visit."""
    groups = [cases] if task.level == "subject" else [(case,) for case in cases]
    values = (pooled_value(cohort, group, name) for group in groups)
    return [value for value in values if value is not None]


def _pooled_marks(value: Value, name: str, task: PooledTask) -> set[Mark]:
    if isinstance(task, Survival) and isinstance(value, tuple):
        return {Mark(name), Mark(name, "event" if value[1] else "censored")}
    if isinstance(task, Multilabel) and isinstance(value, tuple):
        return {
            Mark(name, f"{label}={bit}")
            for label, bit in zip(task.labels, value, strict=True)
            if bit is not None
        }
    assert isinstance(value, int)
    return {Mark(name), Mark(name, answers(task)[value])}


def _voxel_marks(cohort: Cohort, cases: tuple[Case, ...], name: str, task: Segmentation | Dose) -> set[Mark]:
    """Known structures. One that is absent by the table alone is known but teaches no voxel of it: not its mark."""
    found = set()
    for case in cases:
        source = voxel_source(cohort, case, name)
        if source is not None:
            found.add(Mark(name))
            for structure, known in zip(
                task.names if isinstance(task, Segmentation) else [], source.known, strict=False
            ):
                if known and case.cells.get(f"{task.column or name}.{structure}") != ABSENT:
                    found.add(Mark(name, structure))
    return found


def _bands(cohort: Cohort, subjects: list[str], name: str, task: Regression) -> dict[str, Mark]:
    """Subject → the third of the known values that its mean belongs to."""
    means: dict[str, float] = {}
    for subject in subjects:
        values = [
            v for v in _values(cohort, cohort.subjects[subject], name, task) if isinstance(v, int | float)
        ]
        if values:
            means[subject] = sum(values) / len(values)
    ranks = sorted(means, key=lambda s: (means[s], s))
    return {s: Mark(name, f"band {i * BANDS // len(ranks) + 1}") for i, s in enumerate(ranks)}
