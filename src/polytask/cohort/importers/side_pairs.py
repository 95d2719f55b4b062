"""Find left and right structures by their names: `parotid_l` and `parotid_r`, `LeftLung` and `RightLung`."""

from __future__ import annotations

import re
from collections.abc import Sequence

_OPPOSITE_SIDES = {
    "l": "r",
    "left": "right",
    "lt": "rt",
    "links": "rechts",
    "sin": "dex",
    "sinister": "dexter",
}
_NAME_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
"""Matches one word in names such as `kidney_l`, `LeftLung`, `Parotid L`."""


def find_side_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """List (left, right) for every two names that differ only in the word for the side."""
    known: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        known.setdefault(_split_name_words(name), []).append(name)
    pairs = []
    for words, left in known.items():
        for place, word in enumerate(words):
            right = known.get((*words[:place], _OPPOSITE_SIDES.get(word, ""), *words[place + 1 :]), [])
            # Two names with the same words (`Lung_L`, `lung-l`) leave open which one is the partner: no pair.
            if len(left) == len(right) == 1:
                pairs.append((left[0], right[0]))
                break
    return pairs


def _split_name_words(name: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _NAME_WORD.findall(name))
