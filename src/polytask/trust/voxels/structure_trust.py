"""Fits what one member promises about one structure, and checks it on subjects that fitted nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from polytask.array_types import NAN, Floats, Indices, Mask
from polytask.evaluation.structure_curves import THRESHOLDS
from polytask.trust.conformal import compute_rank_p_values
from polytask.trust.fit_task import Spread
from polytask.trust.number_intervals import make_intervals
from polytask.trust.voxels.risk_control import choose_patient_step, choose_risk_step, find_reached_steps
from polytask.trust.voxels.split_halves import split_in_halves, summarize_splits
from polytask.trust.voxels.structure_cases import StructureCases

DRAWN, EMPTY = "drawn", "empty"
"""Strata of sizes: whether the mask of a structure has any voxel. Where it has none, the error is of another kind."""


@dataclass(frozen=True)
class StructureCheck:
    """What a check saw on the halves that fitted nothing; each figure is NaN where there was nothing to look at.

    Args:
        inside: mean share of the structure in the plain mask, in that of the mean promise, in that per patient.
        patients: share of the patients of whom at least the level lies inside, for the same three masks.
        added: size that the mask of the mean promise, and that per patient, add to all plain masks together.
        endless: share of the splits in which each of the two was everything.
        volumes: share of the intervals that held the true size. factor: by which an end differs from the size of a
            mask that is not empty.
        false_alarms: share of the cases without the structure whose rank says that it is there (p ≤ α).
        seen: the same share of the cases with it.
        present, absent: numbers of cases. subjects: number of their subjects.
    """

    inside: tuple[Spread, Spread, Spread]
    patients: tuple[Spread, Spread, Spread]
    added: tuple[Spread, Spread]
    endless: tuple[float, float]
    volumes: Spread
    factor: Spread
    false_alarms: Spread
    seen: Spread
    present: int
    absent: int
    subjects: int


@dataclass(frozen=True)
class StructureTrust:
    """What one member promises about one structure.

    Args:
        missed: `[steps]`, mean share of the structure that is missed, over `present` cases that have it.
        reached: `[present]`, see `find_reached_steps`; sorted.
        volumes: `DRAWN` and `EMPTY` → scores of the sizes. absent: `presence` of the known cases without it; sorted.
    """

    missed: Floats
    present: int
    reached: Indices
    volumes: dict[str, Floats] = field(default_factory=dict)
    absent: Floats = field(default_factory=lambda: np.zeros(0))
    check: StructureCheck | None = None


def fit_structure(cases: StructureCases, alpha: float) -> StructureTrust:
    """Fit what a member promises about a structure on held-out cases."""
    present = cases.take(cases.true > 0)
    missed = present.missed
    known = cases.take(cases.whole)
    scores, strata = score_volumes(known.true, known.drawn), name_strata(known.drawn)
    return StructureTrust(
        missed.mean(0) if len(missed) else np.full(len(THRESHOLDS), NAN),
        len(missed),
        np.sort(find_reached_steps(missed, alpha)),
        {s: np.sort(scores[strata == s]) for s in (DRAWN, EMPTY)},
        np.sort(known.presence[known.true == 0]),
    )


def score_volumes(true: Floats, drawn: Floats) -> Floats:
    """Score sizes `[N]` in voxels: the logarithm of how many times the true one is larger or smaller.

    Masks are off by a share of their size, so that one factor serves small and large structures. One voxel is added to
    both, or an empty mask would be infinitely wrong.
    """
    return np.asarray(np.abs(np.log1p(true) - np.log1p(drawn)))


def name_strata(drawn: Floats) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    """Name the stratum of each size `[N]`."""
    return np.where(drawn > 0, DRAWN, EMPTY)


def choose_steps(members: Sequence[StructureTrust], alpha: float) -> tuple[int | None, int | None]:
    """Choose the steps of the mean promise and of that per patient, from the cases of all members together."""
    count = sum(m.present for m in members)
    if not count:
        return None, None
    missed = sum(m.present * m.missed for m in members if m.present) / count
    reached = np.concatenate([m.reached for m in members])
    return (
        choose_risk_step(np.asarray(missed), count, alpha),
        choose_patient_step(reached, len(THRESHOLDS), alpha),
    )


def make_volume_interval(
    members: Sequence[StructureTrust], drawn: Sequence[Floats], alpha: float
) -> tuple[Floats, Floats]:
    """Make the intervals of N sizes in voxels, of which `drawn[k]` `[N]` says what member k drew; infinite where too
    few are known. Every mask is compared with those of its own member that are empty or not as it is."""
    low, high = np.zeros(len(drawn[0])), np.full(len(drawn[0]), np.inf)
    strata = np.stack([name_strata(d) for d in drawn], 1)
    for chosen in np.unique(strata, axis=0):
        alike = (strata == chosen).all(1)
        known = [m.volumes.get(str(s), np.zeros(0)) for m, s in zip(members, chosen, strict=True)]
        spread = [np.ones(int(alike.sum()))] * len(drawn)
        ends = make_intervals([np.log1p(d[alike]) for d in drawn], spread, known, alpha)
        low[alike], high[alike] = (np.maximum(np.expm1(end), 0.0) for end in ends)
    return low, high


def rank_absence(members: Sequence[StructureTrust], presence: Sequence[Floats]) -> Floats:
    """Rank `presence` `[N]` of each member among the cases known to lack the structure: small where it is there."""
    return compute_rank_p_values(list(presence), [m.absent for m in members])


def check_structure(cases: StructureCases, alpha: float, seed: int) -> StructureCheck | None:
    """Fit on one half of the subjects and look at the other, many times; None where there are too few subjects."""
    halves = split_in_halves(cases.subjects, seed)
    if not halves:
        return None
    rows = [_check_half(fit_structure(cases.take(own), alpha), cases.take(~own), alpha) for own in halves]
    spreads = {key: summarize_splits([row[key] for row in rows]) for key in rows[0]}
    return StructureCheck(
        (spreads["inside"], spreads["inside_mean"], spreads["inside_patient"]),
        (spreads["patients"], spreads["patients_mean"], spreads["patients_patient"]),
        (spreads["added_mean"], spreads["added_patient"]),
        (spreads["endless_mean"].mean, spreads["endless_patient"].mean),
        volumes=spreads["volumes"],
        factor=spreads["factor"],
        false_alarms=spreads["false_alarms"],
        seen=spreads["seen"],
        present=int((cases.true > 0).sum()),
        absent=int(((cases.true == 0) & cases.whole).sum()),
        subjects=len(np.unique(cases.subjects)),
    )


def _check_half(fitted: StructureTrust, other: StructureCases, alpha: float) -> dict[str, float]:
    steps = choose_steps([fitted], alpha)
    present = other.take(other.true > 0)
    size = np.where(np.isfinite(other.size), other.size, 1.0)
    row: dict[str, float] = {}
    for name, step in (("", 0), ("_mean", steps[0]), ("_patient", steps[1])):
        missed = np.zeros(len(present.true)) if step is None else present.missed[:, step]
        row[f"inside{name}"] = _average(1 - missed)
        row[f"patients{name}"] = _average(missed <= alpha + 1e-9)
        if name:
            plain = float((other.voxels[:, 0] * size).sum())
            grown = NAN if step is None else float((other.voxels[:, step] * size).sum())
            row[f"added{name}"] = grown / plain - 1 if plain else NAN
            row[f"endless{name}"] = float(step is None)
    known = other.take(other.whole)
    low, high = make_volume_interval([fitted], [known.drawn], alpha)
    row["volumes"] = _average((low <= known.true + 1e-6) & (known.true <= high + 1e-6))
    reach = (high + 1) / (known.drawn + 1)
    row["factor"] = _average(reach[np.isfinite(reach) & (known.drawn > 0)])
    strange = rank_absence([fitted], [known.presence]) <= alpha + 1e-9
    row["false_alarms"] = _average(strange[known.true == 0]) if len(fitted.absent) else NAN
    row["seen"] = _average(strange[known.true > 0]) if len(fitted.absent) else NAN
    return row


def _average(values: Floats | Mask) -> float:
    return float(np.mean(values)) if len(values) else NAN
