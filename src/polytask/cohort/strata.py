"""The strata of each subject: its classes, events, labels, known structures and its site.

Splits are stratified over all strata together, and the train part of a fold must hold every stratum that a task needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from polytask.cohort.cell_values import ABSENT, pooled_value, voxel_source
from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.header import Header, PooledSpec, VoxelSpec
from polytask.kinds import KINDS, find_pooled_kind, find_voxel_kind
from polytask.kinds.kind import AnswerValue, TrainNeed


@dataclass(frozen=True, order=True)
class Stratum:
    """One fact about a subject by which splits are stratified.

    Args:
        task: the name of the task, or `site`.
        word: class, `event`, `censored`, `LABEL=1`, structure or band of numbers; "" = any answer is known.
    """

    task: str
    word: str = ""

    def __str__(self) -> str:
        """Text that is hashed to break ties between strata.

        It must never change, not even to the name of this class: another text gives every cohort other folds.
        """
        return f"Mark(task={self.task!r}, word={self.word!r})"


def list_strata(cohort: Cohort, subjects: Iterable[str]) -> dict[str, frozenset[Stratum]]:
    """Map each subject to its strata, from header and table alone: no mask or dose is opened, a filled cell counts."""
    chosen = list(subjects)
    strata: dict[str, set[Stratum]] = {s: set() for s in chosen}
    for subject in chosen:
        if site := cohort.subjects[subject][0].site:
            strata[subject].add(Stratum("site", site))
    for name, task in cohort.header.tasks.items():
        if isinstance(task, VoxelSpec):
            for subject in chosen:
                strata[subject] |= _list_known_structures(cohort, cohort.subjects[subject], name, task)
        elif isinstance(task, PooledSpec):
            answers = {s: values for s in chosen if (values := _list_known_answers(cohort, s, name, task))}
            for subject, words in find_pooled_kind(task.kind).list_strata(task, answers).items():
                strata[subject] |= {Stratum(name, word) for word in words}
    return {subject: frozenset(own) for subject, own in strata.items()}


def list_needed_strata(header: Header) -> Iterator[tuple[Stratum, TrainNeed]]:
    """List every stratum that a train part must hold, with the reason, in the order of the tasks."""
    for name, task in header.tasks.items():
        for need in KINDS[task.kind].list_needs(task, name, task.column or name):
            yield Stratum(name, need.word), need


def list_unknown_tasks(
    header: Header, subject_strata: Mapping[str, frozenset[Stratum]], subjects: Iterable[str]
) -> list[str]:
    """List the tasks of which none of these subjects has a known answer or structure."""
    known = {stratum.task for subject in subjects for stratum in subject_strata[subject]}
    return [name for name in header.tasks if name not in known]


def _list_known_answers(cohort: Cohort, subject: str, name: str, task: PooledSpec) -> list[AnswerValue]:
    """List the known answers of a subject: at most one, or at most one per visit for a visit task."""
    cases = cohort.subjects[subject]
    groups: Iterable[Sequence[Case]] = [cases] if task.level == "subject" else [(case,) for case in cases]
    values = (pooled_value(cohort, group, name) for group in groups)
    return [value for value in values if value is not None]


def _list_known_structures(cohort: Cohort, cases: Iterable[Case], name: str, task: VoxelSpec) -> set[Stratum]:
    """List the strata of the known structures in some cases.

    A structure that the table calls absent is known but has no voxel to learn from, so it is not a stratum.
    """
    strata = set()
    for case in cases:
        source = voxel_source(cohort, case, name)
        if source is not None:
            strata.add(Stratum(name))
            for structure, known in zip(
                find_voxel_kind(task.kind).list_parts(task), source.known, strict=False
            ):
                if known and case.cells.get(f"{task.column or name}.{structure}") != ABSENT:
                    strata.add(Stratum(name, structure))
    return strata
