"""The held-out cases of one structure, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats, Indices, Mask
from polytask.errors import PolytaskError
from polytask.evaluation.structure_curves import THRESHOLDS, StructureCurve
from polytask.inference.pooled_answers import CaseId


@dataclass(frozen=True)
class StructureCases:
    """N cases in which a structure is known; see `StructureCurve`.

    Args:
        subjects: `[N]`. true, drawn, presence, size: `[N]`. hits, voxels: `[N, steps]`; hits are 0 where nothing is
            true. whole: `[N]`.
    """

    subjects: npt.NDArray[np.str_]
    true: Floats
    hits: Floats
    voxels: Floats
    drawn: Floats
    presence: Floats
    size: Floats
    whole: Mask

    @property
    def missed(self) -> Floats:
        """The share of the true voxels that each step misses `[N, steps]`; NaN where nothing is true."""
        true = np.where(self.true > 0, self.true, np.nan)[:, None]
        return np.asarray(1 - self.hits / true)

    def take(self, chosen: Mask | Indices) -> StructureCases:
        """Select some of the cases."""
        return StructureCases(*(getattr(self, f.name)[chosen] for f in fields(self)))


def gather_structure_cases(
    seeds: Sequence[Mapping[CaseId, Mapping[str, StructureCurve]]], structure: str
) -> StructureCases:
    """Gather the cases of a structure, in each of which the runs of one fold (its seeds) are averaged."""
    first = seeds[0]
    ids = [who for who, own in first.items() if structure in own]
    if any([who for who, own in seed.items() if structure in own] != ids for seed in seeds):
        raise PolytaskError("runs of one fold have answers for other subjects; evaluate them again")
    by_seed = [[seed[who][structure] for who in ids] for seed in seeds]
    nothing = (0,) * len(THRESHOLDS)

    def average(name: str) -> Floats:
        rows = [
            [getattr(c, name) or nothing if name == "hits" else getattr(c, name) for c in own]
            for own in by_seed
        ]
        return np.asarray(np.mean(np.array(rows, np.float64), axis=0))

    curves = by_seed[0]
    return StructureCases(
        np.array([subject for subject, _ in ids], dtype=np.str_),
        np.array([c.true for c in curves], dtype=np.float64),
        average("hits").reshape(-1, len(THRESHOLDS)),
        average("voxels").reshape(-1, len(THRESHOLDS)),
        average("drawn"),
        average("presence"),
        np.array([c.size for c in curves], dtype=np.float64),
        np.array([c.whole for c in curves], dtype=bool),
    )
