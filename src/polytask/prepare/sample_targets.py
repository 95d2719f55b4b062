"""Make the targets of samples from the answers in the table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from polytask.cohort import header
from polytask.cohort.cell_values import pooled_value, voxel_source
from polytask.cohort.cohort import Case, Cohort
from polytask.kinds import find_pooled_kind
from polytask.tasks.target import Target


def make_pooled_arrays(
    cohort: Cohort, name: str, samples: Sequence[Sequence[Case | None]]
) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_]]:
    """Read the answers of N samples: value and known of a visit task `[N, V, …]` or of a subject task `[N, …]`.

    Args:
        samples: the V cases of each sample, None where padded; at least one of them is a case.
    """
    task = cohort.header.tasks[name]
    assert isinstance(task, header.PooledSpec)
    make_arrays = find_pooled_kind(task.kind).make_arrays
    if task.level == "subject":
        # The answer is read from all rows of the subject, so any of its cases will do.
        firsts = [next(case for case in cases if case is not None) for cases in samples]
        return make_arrays(task, [pooled_value(cohort, (case,), name) for case in firsts])
    visits = [case for cases in samples for case in cases]
    value, known = make_arrays(
        task, [None if case is None else pooled_value(cohort, (case,), name) for case in visits]
    )
    lead = (len(samples), len(visits) // max(1, len(samples)))
    return value.reshape(*lead, *value.shape[1:]), known.reshape(*lead, *known.shape[1:])


def make_pooled_target(cohort: Cohort, name: str, cases: Sequence[Case | None]) -> Target:
    """Make the target of a visit task `[V, …]` or of a subject task `[…]` of one sample; 0 where unknown."""
    value, known = make_pooled_arrays(cohort, name, [cases])
    return Target(torch.from_numpy(value)[0], torch.from_numpy(known)[0])


def is_known_in_sample(cohort: Cohort, name: str, cases: Sequence[Case | None]) -> bool:
    """Whether a task of any level is known in at least one visit of the sample."""
    if isinstance(cohort.header.tasks[name], header.VoxelSpec):
        return is_voxel_task_known(cohort, name, cases)
    return bool(make_pooled_target(cohort, name, cases).known.any())


def is_voxel_task_known(cohort: Cohort, name: str, cases: Sequence[Case | None]) -> bool:
    """Whether a voxel task has a known structure or dose in at least one visit of the sample."""
    sources = [voxel_source(cohort, case, name) for case in cases if case is not None]
    return any(source is not None and any(source.known) for source in sources)
