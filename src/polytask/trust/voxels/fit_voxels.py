"""Fits what runs promise about one voxel task, on what its evaluations counted of the held-out cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from polytask.errors import PolytaskError
from polytask.evaluation.field_errors import choose_error
from polytask.evaluation.part_answers import PartAnswers
from polytask.kinds import find_answer_form
from polytask.tasks.task import Task
from polytask.trust.voxels.field_trust import FieldTrust, fit_field
from polytask.trust.voxels.structure_cases import gather_structure_cases
from polytask.trust.voxels.structure_trust import StructureTrust, check_structure, fit_structure

VOXEL_FORMS = ("masks", "field")
"""Forms of answers whose promises are fitted here."""


@dataclass(frozen=True)
class VoxelTrust:
    """What the members promise about a voxel task, each in their order.

    Args:
        structures: structure → promises, of masks. fields: promises, of a dose or map; unit: its unit.
    """

    structures: dict[str, tuple[StructureTrust, ...]] = field(default_factory=dict)
    fields: tuple[FieldTrust, ...] = ()
    unit: str = ""


def fit_voxels(
    task: Task, answers: Sequence[Sequence[PartAnswers]], alpha: float, seed: int
) -> VoxelTrust | str:
    """Fit what is promised about a voxel task, or say why nothing is.

    Args:
        answers: of each member those of its runs (seeds of one fold).
    """
    name, masks = task.name, find_answer_form(task.kind) == "masks"
    every = [own for member in answers for own in member]
    if not any(own.voxel[name].ids for own in every):
        return "no held-out answer is known"
    if not all((own.curves if masks else own.errors).get(name) or not own.voxel[name].ids for own in every):
        return "the evaluation is of an older version; run `polytask evaluate` again"
    if not masks:
        fields = tuple(_fit_member_field(name, member, alpha, seed) for member in answers)
        return VoxelTrust(fields=fields, unit=str(getattr(task, "unit", "")))
    structures = {}
    for structure in getattr(task, "structures", ()):
        cases = [
            gather_structure_cases([own.curves.get(name, {}) for own in member], structure)
            for member in answers
        ]
        structures[structure] = tuple(
            replace(fit_structure(own, alpha), check=check_structure(own, alpha, seed)) for own in cases
        )
    return VoxelTrust(structures)


def _fit_member_field(name: str, seeds: Sequence[PartAnswers], alpha: float, seed: int) -> FieldTrust:
    by_seed = [own.errors.get(name, {}) for own in seeds]
    ids = list(by_seed[0])
    if any(list(own) != ids for own in by_seed):
        raise PolytaskError("runs of one fold have answers for other subjects; evaluate them again")
    if not ids:
        return FieldTrust(np.zeros(0))
    quantiles = np.mean([[own[who] for who in ids] for own in by_seed], axis=0)
    subjects = np.array([subject for subject, _ in ids], dtype=np.str_)
    return fit_field(choose_error(quantiles, 1 - alpha), subjects, alpha, seed)
