"""The facts that the rules of the shared part read: header, fingerprint, samples, and the machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from polytask.cohort.cell_values import pooled_value, voxel_source
from polytask.cohort.cohort import Cohort, Sample
from polytask.cohort.header import VoxelSpec
from polytask.cohort.read_visits import list_read_visits
from polytask.plan.fingerprint_records import Fingerprint
from polytask.plan.machine import Machine
from polytask.plan.model_plan import ModelPlan


@dataclass(frozen=True)
class SharedFacts:
    """Facts for the shared part of a plan.

    Args:
        train: number of samples in the train part of the median fold.
        fixed_visits: number of visit slots set by hand, None when it follows from the header.
        model: the architecture, on which the memory of a step depends.
    """

    cohort: Cohort
    fingerprint: Fingerprint
    machine: Machine
    train: int
    fixed_visits: int | None = None
    model: ModelPlan = field(default_factory=ModelPlan)

    @cached_property
    def samples(self) -> list[Sample]:
        """All samples of the subjects outside the test part."""
        # Before the folds divide it, the part called `train` is everything that is not test.
        return self.cohort.samples(self.cohort.list_split_subjects("train"))

    @cached_property
    def voxel_tasks_by_image(self) -> dict[str, list[str]]:
        """Image input → the voxel tasks that are drawn on it."""
        tasks_by_image: dict[str, list[str]] = {name: [] for name in self.cohort.header.images}
        for name, task in self.cohort.header.tasks.items():
            if isinstance(task, VoxelSpec):
                tasks_by_image[task.image].append(name)
        return tasks_by_image

    @cached_property
    def pooled(self) -> list[str]:
        """Names of the visit and subject tasks."""
        return [n for n, t in self.cohort.header.tasks.items() if not isinstance(t, VoxelSpec)]

    @cached_property
    def max_visits(self) -> int:
        """Number of visit slots of a sample: all visits of the header when a task joins them, else one."""
        slots = self.fixed_visits or len(self.cohort.header.visits or [""])
        return slots if self.cohort.samples_are_subjects else 1

    @cached_property
    def read_visits(self) -> list[str]:
        """The visits of a sample that some task reads (others cost nothing); one where no task joins visits."""
        return list_read_visits(self.cohort.header) if self.cohort.samples_are_subjects else [""]

    @cached_property
    def known_samples(self) -> dict[str, frozenset[int]]:
        """Task → the samples, as numbers, in which it is known: whether cells are filled, not what they say."""
        return {task: frozenset(self._list_known_samples(task)) for task in self.cohort.header.tasks}

    @cached_property
    def sites_by_task(self) -> dict[str, frozenset[str]]:
        """Task → the named sites with a subject outside the test part whose answer is known."""
        sites = [self.cohort.subjects[sample.subject][0].site for sample in self.samples]
        return {
            task: frozenset(sites[number] for number in numbers if sites[number])
            for task, numbers in self.known_samples.items()
        }

    def measure_known_share(self, task: str) -> float:
        """Measure the share of samples in which a task is known."""
        return len(self.known_samples[task]) / max(1, len(self.samples))

    def _list_known_samples(self, task: str) -> Iterator[int]:
        pooled, cohort = task in self.pooled, self.cohort
        for number, sample in enumerate(self.samples):
            if pooled:
                known = any(pooled_value(cohort, (case,), task) is not None for case in sample.cases)
            else:
                known = any(voxel_source(cohort, case, task) is not None for case in sample.cases)
            if known:
                yield number
