"""Bands and arrays of numbers in the table."""

from __future__ import annotations

import numpy as np

from polytask.kinds.number_cells import list_band_strata, list_value_needs, make_number_arrays


def test_subjects_are_banded_by_the_thirds_of_their_means() -> None:
    answers = {"e": [5.0], "a": [0.0, 2.0], "d": [4.0], "b": [2.0], "f": [6.0, 7.0], "c": [3.0], "none": []}
    bands = list_band_strata(answers)
    assert {s: next(iter(words - {""})) for s, words in bands.items()} == {
        "a": "band 1",
        "b": "band 1",
        "c": "band 2",
        "d": "band 2",
        "e": "band 3",
        "f": "band 3",
    }
    assert all("" in words for words in bands.values())


def test_subjects_with_equal_means_are_banded_by_name() -> None:
    bands = list_band_strata({"c": [1.0], "a": [1.0], "b": [0.5, 1.5]})
    assert bands == {"a": {"", "band 1"}, "b": {"", "band 2"}, "c": {"", "band 3"}}
    assert list_band_strata({}) == {}


def test_an_unknown_number_is_nothing_that_is_known() -> None:
    value, known = make_number_arrays([1.5, None, 0.0])
    assert value.tolist() == [1.5, 0.0, 0.0]
    assert known.tolist() == [True, False, True]
    assert value.dtype == np.float32


def test_any_value_is_what_is_needed() -> None:
    (need,) = list_value_needs("size")
    assert (need.word, need.column) == ("", "size")
