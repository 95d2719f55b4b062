"""Pairs the words of two cohorts, and lists the gaps: words of one that have no counterpart in the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from polytask.errors import suggest_word
from polytask.evaluation.external.word_map import WordMap


@dataclass(frozen=True)
class WordGap:
    """Words at one place that have no counterpart.

    Args:
        section: section of the mapping file that could close the gap; `kinds`, `modalities`, `images` and `levels`
            cannot be mapped.
        place: the model's task, input or column; "" for whole tasks, inputs, columns and visits.
        theirs: words of the cohort that the model does not know; cells with them are unknown.
        ours: words of the model that the cohort lacks.
    """

    section: str
    place: str
    theirs: tuple[str, ...]
    ours: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether any word is left over."""
        return bool(self.theirs or self.ours)


@dataclass(frozen=True)
class WordPairs:
    """Words with a counterpart (their word → the model's), and the gap that is left."""

    known: Mapping[str, str]
    gap: WordGap


def is_same_name(a: str, b: str) -> bool:
    """Whether two names are the same letter by letter."""
    return a == b


def pair_words(
    section: str,
    place: str,
    theirs: Sequence[str],
    ours: Sequence[str],
    word_map: WordMap,
    given: Mapping[str, str | None] | None = None,
    *,
    is_same: Callable[[str, str], bool] = is_same_name,
    many: bool = False,
) -> WordPairs:
    """Pair their words with the model's: as the mapping file says, else where they are the same; never by similarity.

    Args:
        given: their word → the model's, from the mapping file.
        is_same: function that tells whether two words mean the same.
        many: whether several of their words may mean the same word of the model.
    """
    where = f"{section}.{place}" if place else section
    pairs: dict[str, str] = {}
    left_unknown: set[str] = set()
    for word, target in (given or {}).items():
        own = next((w for w in theirs if is_same(w, word)), None)
        if own is None:
            raise word_map.fail(
                where, f"{word!r} is not among the cohort's words; {suggest_word(word, theirs)}"
            )
        # An empty right side means "stays unknown", even where the model has the same word.
        if target is None:
            left_unknown.add(own)
            continue
        our = next((w for w in ours if is_same(w, target)), None)
        if our is None:
            raise word_map.fail(
                where, f"{target!r} is not among the model's words; {suggest_word(target, ours)}"
            )
        if our in pairs.values() and not many:
            other = next(k for k, v in pairs.items() if v == our)
            raise word_map.fail(where, f"{other!r} and {own!r} are both mapped to {our!r}; keep one of them")
        pairs[own] = our
    for own in theirs:
        our = next((w for w in ours if is_same(own, w)), None)
        # The mapping file goes first: a word that it gave away is not paired a second time by its name.
        if own in pairs or own in left_unknown or our is None or (our in pairs.values() and not many):
            continue
        pairs[own] = our
    left = tuple(w for w in theirs if w not in pairs)
    return WordPairs(pairs, WordGap(section, place, left, tuple(w for w in ours if w not in pairs.values())))


def split_gap_by_kind(
    gap: WordGap, kind_of_theirs: Callable[[str], str], kind_of_ours: Callable[[str], str]
) -> list[WordGap]:
    """Split a gap by kind, so that only words of the same kind are proposed for each other."""
    kinds = dict.fromkeys([*map(kind_of_ours, gap.ours), *map(kind_of_theirs, gap.theirs)])
    return [
        WordGap(
            gap.section,
            gap.place,
            tuple(w for w in gap.theirs if kind_of_theirs(w) == kind),
            tuple(w for w in gap.ours if kind_of_ours(w) == kind),
        )
        for kind in kinds
    ]


def convert_gaps_to_dict(gaps: Sequence[WordGap]) -> dict[str, Any]:
    """Convert gaps to `{unknown: {section: …}, lacking: {section: …}}`, each a list of words, or place → list of
    words."""
    words_by_side: dict[str, Any] = {"unknown": {}, "lacking": {}}
    for gap in gaps:
        for side, words in (("unknown", gap.theirs), ("lacking", gap.ours)):
            if words and gap.place:
                words_by_side[side].setdefault(gap.section, {})[gap.place] = list(words)
            elif words:
                words_by_side[side].setdefault(gap.section, []).extend(words)
    return words_by_side
