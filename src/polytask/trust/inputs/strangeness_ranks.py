"""Ranks of several measures of strangeness together, as one p-value that is valid whatever they have in common.

Of n held-out subjects and a new one, everybody is ranked among all n + 1 on every measure; a subject's smallest rank
says how strange it is, and the new one is ranked by it (the single-step minimum-p procedure of Westfall and Young
1993). All n + 1 are treated alike, so that each place of the new one is equally likely when it comes from the same
population: p ≤ α for a share of at most α, however the measures hang together and whatever is missing of a subject. No
factor for the number of measures is paid.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polytask.array_types import NAN, Floats
from polytask.trust.conformal import ROUNDING


def count_stranger(new: Floats, known: Floats) -> tuple[int, int]:
    """Count the held-out subjects that are at least as strange as a new one → (these, all that are compared).

    Args:
        new: measures of the new one `[J]`, larger is stranger, NaN where something is not known.
        known: of the held-out subjects `[n, J]`; those of which nothing is known are not compared.
    """
    compared = known[~np.isnan(known).all(1)]
    shares = np.nan_to_num(rank_together(np.concatenate([new[None], compared])), nan=1.0)
    # Ties are frequent, because a smallest rank is one of n + 1 numbers: the next ranks part them. A mean over measures
    # would not do: what is strange on one may be most ordinary on another, as noise is to the relative distance.
    ordered = np.sort(shares, 1)
    differs = np.abs(ordered[1:] - ordered[0]) > ROUNDING
    first = np.where(differs.any(1), differs.argmax(1), 0)
    rows = np.arange(len(compared))
    stranger = ~differs.any(1) | (ordered[1:][rows, first] < ordered[0][first])
    return int(stranger.sum()), len(compared)


def rank_together(measures: Floats) -> Floats:
    """Rank `[n, J]` measures: of each the share of those known that are at least as large, NaN if not known."""
    shares = np.full(measures.shape, NAN)
    for j in range(measures.shape[1]):
        known = ~np.isnan(measures[:, j])
        values = np.sort(measures[known, j])
        above = len(values) - np.searchsorted(values, measures[known, j], side="left")
        shares[known, j] = above / max(1, len(values))
    return shares


def compute_strangeness_p(new: Sequence[Floats], known: Sequence[Floats]) -> float:
    """Compute how many ordinary subjects are at least as strange as a new one: a p-value, NaN where nothing is known.

    Of one member it is at most α with a probability of at most α. Each of several members compares its own measures of
    the new subject with those of the subjects that it was not trained on, and the counts are summed (Vovk 2015).

    Args:
        new: of each member measures `[J]`. known: of each member measures of its held-out subjects `[n, J]`.
    """
    stranger, total, seen = 0, 0, False
    for own, others in zip(new, known, strict=True):
        if not np.isnan(own).all():
            counted, compared = count_stranger(own, others)
            stranger, total, seen = stranger + counted, total + compared, True
    return (1 + stranger) / (1 + total) if seen else NAN
