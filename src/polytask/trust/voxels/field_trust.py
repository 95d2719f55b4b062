"""Fits how far a dose or map is off in most patients, for most of the voxels, and checks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats
from polytask.trust.conformal import find_score_rank
from polytask.trust.fit_task import Spread
from polytask.trust.voxels.split_halves import split_in_halves, summarize_splits


@dataclass(frozen=True)
class FieldCheck:
    """What a check saw on the halves that fitted nothing.

    Args:
        patients: share of the patients of whom enough voxels lay in the interval. reach: half the interval's length.
        endless: share of the splits in which too few were known. n: known cases, subjects: their subjects.
    """

    patients: Spread
    reach: Spread
    endless: float
    n: int
    subjects: int


@dataclass(frozen=True)
class FieldTrust:
    """What one member promises about a number per voxel.

    Args:
        scores: of each known case the error that the level's share of its voxels does not exceed; sorted.
    """

    scores: Floats
    check: FieldCheck | None = None


def choose_reach(members: Sequence[FieldTrust], alpha: float) -> float:
    """Choose how far an interval reaches: the conformal quantile of the scores of all members; infinite: too few."""
    scores = np.sort(np.concatenate([m.scores for m in members]))
    rank = find_score_rank(len(scores), alpha)
    return float("inf") if rank > len(scores) else float(scores[rank - 1])


def fit_field(scores: Floats, subjects: npt.NDArray[np.str_], alpha: float, seed: int) -> FieldTrust:
    """Fit the scores `[N]` of held-out cases, and check the interval on halves of their subjects."""
    fitted, halves = FieldTrust(np.sort(scores)), split_in_halves(subjects, seed)
    if not halves:
        return fitted
    reaches = [choose_reach([FieldTrust(scores[own])], alpha) for own in halves]
    held = [float((scores[~own] <= reach).mean()) for own, reach in zip(halves, reaches, strict=True)]
    check = FieldCheck(
        summarize_splits(held),
        summarize_splits(reaches),
        float(np.mean(np.isinf(reaches))),
        len(scores),
        len(np.unique(subjects)),
    )
    return FieldTrust(fitted.scores, check)
