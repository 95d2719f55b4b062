"""Words of two sides: which say the same, and what is left over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from polytask.errors import PolytaskError
from polytask.evaluation.external.word_gaps import (
    WordGap,
    WordPairs,
    convert_gaps_to_dict,
    pair_words,
    split_gap_by_kind,
)
from polytask.evaluation.external.word_map import WordMap
from polytask.kinds.header_words import is_same_word


def pair(
    theirs: list[str], ours: list[str], given: Mapping[str, str | None] | None = None, **how: Any
) -> WordPairs:
    return pair_words("classes", "t", theirs, ours, WordMap(Path("m.yaml")), given, **how)


def test_a_gap_is_there_where_a_word_is_left_on_either_side() -> None:
    assert not WordGap("tasks", "", (), ())
    assert WordGap("tasks", "", ("a",), ())
    assert WordGap("tasks", "", (), ("a",))


def test_the_same_words_are_joined_and_the_rest_is_left_over() -> None:
    found = pair(["b", "x", "a"], ["a", "b", "c"])
    assert found.known == {"b": "b", "a": "a"}
    assert found.gap == WordGap("classes", "t", ("x",), ("c",))
    assert pair(["2.0"], ["2"]).known == {}
    assert pair(["2.0"], ["2"], is_same=is_same_word).known == {"2.0": "2"}


def test_one_word_has_one_counterpart_unless_many_are_allowed() -> None:
    assert pair(["2", "2.0"], ["2"], is_same=is_same_word).known == {"2": "2"}
    assert pair(["2", "2.0"], ["2"], is_same=is_same_word, many=True).known == {"2": "2", "2.0": "2"}
    assert pair(["a", "b"], ["a"], {"b": "a"}).known == {"b": "a"}
    assert pair(["a", "b"], ["a"], {"b": "a"}, many=True).known == {"b": "a", "a": "a"}
    with pytest.raises(PolytaskError, match=r"m\.yaml: classes\.t: 'a' and 'b' are both mapped to 'x'"):
        pair(["a", "b"], ["x"], {"a": "x", "b": "x"})
    assert pair(["a", "b"], ["x"], {"a": "x", "b": "x"}, many=True).known == {"a": "x", "b": "x"}


def test_a_word_that_is_said_to_mean_nothing_stays_unknown() -> None:
    found = pair(["a", "b"], ["a", "b"], {"a": None})
    assert (found.known, found.gap) == ({"b": "b"}, WordGap("classes", "t", ("a",), ("a",)))


def test_words_of_a_mapping_are_words_of_both_sides() -> None:
    with pytest.raises(PolytaskError, match="'z' is not among the cohort's words"):
        pair(["a"], ["a"], {"z": "a"})
    with pytest.raises(PolytaskError, match="'z' is not among the model's words"):
        pair(["a"], ["a"], {"a": "z"})


def test_a_gap_is_split_by_kind() -> None:
    kinds = {"a": "x", "b": "y", "c": "x", "d": "z"}
    found = split_gap_by_kind(
        WordGap("tasks", "", ("a", "b"), ("c", "d")), kinds.__getitem__, kinds.__getitem__
    )
    assert found == [
        WordGap("tasks", "", ("a",), ("c",)),
        WordGap("tasks", "", (), ("d",)),
        WordGap("tasks", "", ("b",), ()),
    ]


def test_gaps_are_listed_by_side_section_and_place() -> None:
    gaps = [
        WordGap("tasks", "", ("a",), ()),
        WordGap("tasks", "", ("b",), ("c",)),
        WordGap("classes", "t", ("u",), ("v",)),
    ]
    assert convert_gaps_to_dict(gaps) == {
        "unknown": {"tasks": ["a", "b"], "classes": {"t": ["u"]}},
        "lacking": {"tasks": ["c"], "classes": {"t": ["v"]}},
    }
    assert convert_gaps_to_dict([]) == {"unknown": {}, "lacking": {}}
