"""Dividing subjects into parts so that every mark is spread in proportion: iterative greedy stratification.

After Sechidis, Tsoumakas and Vlahavas (2011): the rarest mark first, each of its subjects to the part that still
wants it most. Parts have exact sizes here, and chance is a function of a salt, so neither the order of rows nor a
random stream decides anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import TypeVar

M = TypeVar("M")


def draw(salt: str, *words: object) -> int:
    """A number that looks random and depends on nothing but its arguments."""
    text = "\x1f".join([salt, *map(str, words)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def stratify(marks: Mapping[str, frozenset[M]], sizes: Sequence[int], salt: str) -> list[list[str]]:
    """Divide subjects into parts.

    Args:
        marks: subject → its marks.
        sizes: subjects per part; they sum to the number of subjects.
        salt: another salt, another division.

    Returns:
        the subjects of each part, sorted.
    """
    if sum(sizes) != len(marks):
        raise ValueError("the sizes must sum to the number of subjects")
    drawn = {subject: draw(salt, subject) for subject in marks}
    order = sorted(marks, key=lambda s: (drawn[s], s))
    text = {mark: str(mark) for mark in frozenset().union(*marks.values())}
    holders: dict[M, list[str]] = {}
    for subject in order:
        for mark in marks[subject]:
            holders.setdefault(mark, []).append(subject)
    total = {mark: len(subjects) for mark, subjects in holders.items()}
    wish = {mark: [n * size / len(order) for size in sizes] for mark, n in total.items()}
    room = list(sizes)
    placed: dict[str, int] = {}
    left = dict(total)

    def place(subject: str, rarest: M | None) -> None:
        own = sorted(marks[subject], key=text.__getitem__)

        def appeal(part: int) -> tuple[float, float, float]:
            first = wish[rarest][part] if rarest is not None else 0.0
            others = sum(wish[m][part] / total[m] for m in own)
            return round(first, 9), round(others, 9), room[part] / sizes[part]

        appeals = {part: appeal(part) for part, free in enumerate(room) if free}
        most = max(appeals.values())
        equal = [part for part, value in appeals.items() if value == most]
        best = equal[0] if len(equal) == 1 else max(equal, key=lambda part: draw(salt, subject, part))
        placed[subject], room[best] = best, room[best] - 1
        for mark in own:
            wish[mark][best] -= 1
            left[mark] -= 1

    # The rarest mark is on top; an entry whose number of subjects is out of date is passed over.
    tie = {mark: draw(salt, mark) for mark in total}
    heap = [
        (count, tie[mark], text[mark], number, mark) for number, (mark, count) in enumerate(total.items())
    ]
    numbers = {entry[4]: entry[3] for entry in heap}
    heapify(heap)
    while heap:
        count, _, _, _, mark = heappop(heap)
        if count != left[mark] or not count:
            continue
        touched: set[M] = set()
        for subject in holders[mark]:
            if subject not in placed:
                place(subject, mark)
                touched |= marks[subject]
        for other in touched:
            heappush(heap, (left[other], tie[other], text[other], numbers[other], other))
    for subject in order:
        if subject not in placed:
            place(subject, None)
    parts: list[list[str]] = [[] for _ in sizes]
    for subject in sorted(placed):
        parts[placed[subject]].append(subject)
    return parts
