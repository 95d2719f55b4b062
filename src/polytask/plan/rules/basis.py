"""What the rules are given: the header, the fingerprint, who is where, and the machine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from polytask.cohort.cohort import Cohort, Sample
from polytask.cohort.header import VoxelSpec
from polytask.cohort.values import pooled_value, voxel_source
from polytask.plan.machine import Machine
from polytask.plan.records import Fingerprint


@dataclass(frozen=True)
class Basis:
    """Facts for the shared part. `train` is the size of the median fold's train part, in samples."""

    cohort: Cohort
    fingerprint: Fingerprint
    machine: Machine
    train: int

    @cached_property
    def samples(self) -> list[Sample]:
        """Samples of all subjects outside the test part."""
        return self.cohort.samples(self.cohort.in_split("train"))

    @cached_property
    def voxel_on(self) -> dict[str, list[str]]:
        """Image input → voxel tasks drawn on it."""
        found: dict[str, list[str]] = {name: [] for name in self.cohort.header.images}
        for name, task in self.cohort.header.tasks.items():
            if isinstance(task, VoxelSpec):
                found[task.image].append(name)
        return found

    @cached_property
    def pooled(self) -> list[str]:
        """Visit and subject tasks."""
        return [n for n, t in self.cohort.header.tasks.items() if not isinstance(t, VoxelSpec)]

    @cached_property
    def max_visits(self) -> int:
        """Visit slots of a sample: all visits of the header when a subject task joins them, else one."""
        return len(self.cohort.header.visits or [""]) if self.cohort.pooled_by_subject else 1

    def known_share(self, task: str) -> float:
        """Share of samples in which the task is known at all. Looks whether cells are filled, not at what they say."""
        pooled = task in self.pooled
        cohort = self.cohort

        def known(sample: Sample) -> bool:
            if pooled:
                return any(pooled_value(cohort, (case,), task) is not None for case in sample.cases)
            return any(voxel_source(cohort, case, task) is not None for case in sample.cases)

        return sum(map(known, self.samples)) / max(1, len(self.samples))
