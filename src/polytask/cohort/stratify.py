"""Dividing subjects into parts so that every mark is spread in proportion: iterative greedy stratification.

After Sechidis, Tsoumakas and Vlahavas (2011): the rarest mark first, each of its subjects to the part that still
wants it most. Parts have exact sizes here, and chance is a function of a salt, so neither the order of rows nor a
random stream decides anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
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
    order = sorted(marks, key=lambda s: (draw(salt, s), s))
    holders: dict[M, list[str]] = {}
    for subject in order:
        for mark in marks[subject]:
            holders.setdefault(mark, []).append(subject)
    total = {mark: len(subjects) for mark, subjects in holders.items()}
    wish = {mark: [n * size / len(order) for size in sizes] for mark, n in total.items()}
    room = list(sizes)
    placed: dict[str, int] = {}

    def place(subject: str, rarest: M | None) -> None:
        own = sorted(marks[subject], key=str)

        def appeal(part: int) -> tuple[float, float, float, int]:
            first = wish[rarest][part] if rarest is not None else 0.0
            others = sum(wish[m][part] / total[m] for m in own)
            return round(first, 9), round(others, 9), room[part] / sizes[part], draw(salt, subject, part)

        best = max((p for p, free in enumerate(room) if free), key=appeal)
        placed[subject], room[best] = best, room[best] - 1
        for mark in own:
            wish[mark][best] -= 1

    left = {mark: len(subjects) for mark, subjects in holders.items()}
    while left:
        mark = min(left, key=lambda m: (left[m], draw(salt, m), str(m)))
        for subject in holders[mark]:
            if subject not in placed:
                place(subject, mark)
        left = {m: n for m, s in holders.items() if (n := sum(x not in placed for x in s))}
    for subject in order:
        if subject not in placed:
            place(subject, None)
    return [sorted(s for s, part in placed.items() if part == p) for p in range(len(sizes))]
