"""Divide subjects into parts so that each part gets its share of every stratum (iterative stratification).

The method is that of Sechidis, Tsoumakas and Vlahavas (2011): take the rarest stratum first, and give each of its
subjects to the part that still needs it most. Two things differ here: parts have exact sizes, and ties are broken by
a hash of a salt, so that neither the order of rows nor a random number generator has any influence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import TypeVar

M = TypeVar("M")


def draw_hash_number(salt: str, *words: object) -> int:
    """Hash the arguments to a number from 0 to 2⁶⁴ − 1. It looks random but depends only on its arguments."""
    # sha256 instead of hash(): Python salts hash() anew in every process, which would change the folds.
    text = "\x1f".join([salt, *map(str, words)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def stratify_subjects(strata: Mapping[str, frozenset[M]], sizes: Sequence[int], salt: str) -> list[list[str]]:
    """Divide subjects into parts of given sizes, with each stratum in proportion.

    Args:
        strata: subject → its strata.
        sizes: number of subjects per part; the sum must be the number of subjects.
        salt: another salt gives another division.

    Returns:
        the subjects of each part, sorted.
    """
    if sum(sizes) != len(strata):
        raise ValueError("the sizes must sum to the number of subjects")
    drawn = {subject: draw_hash_number(salt, subject) for subject in strata}
    order = sorted(strata, key=lambda s: (drawn[s], s))
    words = sorted(frozenset().union(*strata.values()), key=str)
    # Strata are numbered in the order of their texts; numbers are quicker than the strata themselves.
    number = {stratum: k for k, stratum in enumerate(words)}
    own = {subject: sorted(number[stratum] for stratum in of) for subject, of in strata.items()}
    holders: list[list[str]] = [[] for _ in words]
    for subject in order:
        for stratum in own[subject]:
            holders[stratum].append(subject)
    division = _PartDivision(own, [len(subjects) for subjects in holders], sizes, salt)
    # The rarest stratum is on top; an entry whose number of subjects is out of date is skipped.
    tie = [draw_hash_number(salt, stratum) for stratum in words]
    heap = [(count, tie[stratum], stratum) for stratum, count in enumerate(division.left)]
    heapify(heap)
    while heap:
        count, _, stratum = heappop(heap)
        if count != division.left[stratum] or not count:
            continue
        touched: set[int] = set()
        for subject in holders[stratum]:
            if subject not in division.part_by_subject:
                division.place_subject(subject, stratum)
                touched.update(own[subject])
        for other in touched:
            heappush(heap, (division.left[other], tie[other], other))
    for subject in order:
        if subject not in division.part_by_subject:
            division.place_subject(subject, None)
    return division.list_parts()


class _PartDivision:
    """The parts while subjects are placed in them one by one, and what each part still needs.

    Strata are numbers here. `wish[stratum][part]` is how many subjects of the stratum the part still needs (it may
    become negative). `share` is the same as a share of the stratum, so that rare strata weigh as much as common ones.
    `room[part]` counts the free places, `left[stratum]` the subjects that are not placed yet.
    """

    def __init__(
        self, own: Mapping[str, Sequence[int]], total: Sequence[int], sizes: Sequence[int], salt: str
    ) -> None:
        self.own, self.total, self.sizes, self.salt = own, total, sizes, salt
        self.wish = [[n * size / len(own) for size in sizes] for n in total]
        self.share = [[w / n for w in wishes] for wishes, n in zip(self.wish, total, strict=True)]
        self.room, self.left = list(sizes), list(total)
        self.part_by_subject: dict[str, int] = {}

    def place_subject(self, subject: str, rarest: int | None) -> None:
        """Place a subject in the part that most needs it: first for its rarest stratum, then for all its strata."""
        own_strata = self.own[subject]
        needs = [sum(parts) for parts in zip(*(self.share[m] for m in own_strata), strict=True)]
        needs = needs or [0] * len(self.room)
        # Rounding makes values equal that differ only by the order of floating-point sums; the hash breaks the tie.
        appeals = {
            part: (
                round(self.wish[rarest][part], 9) if rarest is not None else 0.0,
                round(needs[part], 9),
                free / self.sizes[part],
            )
            for part, free in enumerate(self.room)
            if free
        }
        most = max(appeals.values())
        equal = [part for part, value in appeals.items() if value == most]
        best = (
            equal[0]
            if len(equal) == 1
            else max(equal, key=lambda part: draw_hash_number(self.salt, subject, part))
        )
        self.part_by_subject[subject] = best
        self.room[best] -= 1
        for stratum in own_strata:
            self.wish[stratum][best] -= 1
            self.share[stratum][best] = self.wish[stratum][best] / self.total[stratum]
            self.left[stratum] -= 1

    def list_parts(self) -> list[list[str]]:
        """List the subjects of each part, sorted."""
        parts: list[list[str]] = [[] for _ in self.sizes]
        for subject in sorted(self.part_by_subject):
            parts[self.part_by_subject[subject]].append(subject)
        return parts
