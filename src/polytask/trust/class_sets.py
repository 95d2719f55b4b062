"""Sets of classes, grades and labels that hold the truth as often as promised, class by class."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from polytask.array_types import Floats, Indices, Mask
from polytask.trust.conformal import compute_rank_p_values


def score_classes(p: Floats, draws: Floats | float = 1.0, penalty: float = 0.0, free: int = 0) -> Floats:
    """Score every class of probabilities `[N, C]` → `[N, C]`: the mass of the classes before it, and a drawn part of
    its own.

    Adaptive prediction sets (Romano, Sesia and Candès 2020): of an answer that is sure a second class is strange, of
    one that is not sure it is not. With a penalty every class beyond the `free` most probable ones counts as stranger
    (RAPS; Angelopoulos et al. 2021).

    Args:
        draws: `[N]`, between 0 and 1, see `draw_shares`. With 1 the least probable class always has the score 1, and
            a class that is often the least probable one would be in every set.
    """
    order = np.argsort(-p, axis=1, kind="stable")
    sorted_p = np.take_along_axis(p, order, 1)
    mass: Floats = sorted_p.cumsum(1) - (1 - np.reshape(draws, (-1, 1))) * sorted_p
    mass = mass + penalty * np.maximum(0, np.arange(1, p.shape[1] + 1) - free)
    scores = np.empty_like(p)
    np.put_along_axis(scores, order, mass, 1)
    return scores


def score_grades(p: Floats, draws: Floats | float = 1.0) -> Floats:
    """Score every grade of probabilities `[N, K]` → `[N, K]`: the mass of the interval that grows from the most
    probable grade, always to the more probable neighbor, before it holds the grade, and a drawn part of the grade's own
    (Lu, Angelopoulos, Pomerantz 2022; without draws, which are 1 there)."""
    scores = np.empty_like(p)
    rows, left = np.arange(len(p)), 1 - np.broadcast_to(draws, len(p))
    low = high = p.argmax(1)
    mass = p[rows, low]
    scores[rows, low] = mass - left * mass
    padded = np.pad(p, ((0, 0), (1, 1)), constant_values=-1.0)
    for _ in range(p.shape[1] - 1):
        below, above = padded[rows, low], padded[rows, high + 2]
        down = below > above
        low, high, own = low - down, high + ~down, np.maximum(below, above)
        mass = mass + own
        scores[rows, np.where(down, low, high)] = mass - left * own
    return scores


def draw_shares(ids: Sequence[tuple[str, str]], task: str) -> Floats:
    """Draw a number between 0 and 1 for each subject and visit `[N]`; a case gets the same one wherever it is asked."""
    words = (hashlib.sha256(f"{task}\n{subject}\n{visit}".encode()).digest() for subject, visit in ids)
    return np.array([(int.from_bytes(word[:7], "big") + 0.5) / 2**56 for word in words])


def join_grades(kept: Mask) -> Mask:
    """Fill the gaps of sets of grades `[N, K]`, so that each is an interval; it holds the truth at least as often."""
    reached = np.logical_or.accumulate(kept, 1)
    return np.asarray(reached & np.logical_or.accumulate(kept[:, ::-1], 1)[:, ::-1])


@dataclass(frozen=True)
class ClassSets:
    """The sets of classes of N answers.

    Args:
        kept: `[N, C]`, whether a set holds a class.
        empty: `[N]`, which sets were empty; they hold the class that fits best instead.
    """

    kept: Mask
    empty: Mask


def make_class_sets(
    scores: Sequence[Floats], known: Sequence[Mapping[int, Floats]], alpha: float
) -> ClassSets:
    """Keep every class whose rank among the known answers of that class says p > α.

    Compared with its own class (Mondrian), a rare class is missed no more often than a common one, and the promise
    holds however frequent the classes are at another hospital. A class that is known too rarely for the level (see
    `find_smallest_count`) is in every set: of it nothing can be promised by leaving it out.

    Args:
        scores: of each member `[N, C]`. known: of each member class → scores `[n]` of its known answers.
    """
    p = np.stack(
        [
            compute_rank_p_values([s[:, k] for s in scores], [own.get(k, np.zeros(0)) for own in known])
            for k in range(scores[0].shape[1])
        ],
        1,
    )
    kept = p > alpha
    empty = np.asarray(~kept.any(1))
    kept[empty, p[empty].argmax(1)] = True
    return ClassSets(kept, empty)


def group_by_class(scores: Floats, truth: Floats | Indices) -> dict[int, Floats]:
    """Group the scores `[N, C]` of known answers by their true class: class → scores of that class, sorted."""
    true = np.asarray(truth, dtype=np.int64)
    own = scores[np.arange(len(true)), true]
    return {int(k): np.sort(own[true == k]) for k in np.unique(true)}
