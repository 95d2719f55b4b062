"""Titles name words that are there, each in its own way."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pydantic_core import PydanticCustomError

from polytask.kinds.titles import check_titles


def find_refusal(titles: dict[str, str], words: Sequence[str] | None) -> str:
    with pytest.raises(PydanticCustomError) as caught:
        check_titles(titles, words, "class")
    return str(caught.value)


def test_titles_of_known_words_are_fine() -> None:
    check_titles({}, [], "class")
    check_titles({"a": "Alpha"}, ["a", "b"], "class")
    check_titles({"a": "b", "b": "a"}, ["a", "b"], "class")
    check_titles({"anything": "Alpha"}, None, "input")


def test_a_title_of_no_word_is_refused() -> None:
    assert "which is not a class" in find_refusal({"z": "Zed"}, ["a", "b"])
    assert "which is not a class" in find_refusal({"z": "Zed"}, [])


def test_two_words_with_one_title_are_refused() -> None:
    assert "'a' and 'b' have the same title 'X'" in find_refusal({"a": "X", "b": "X"}, ["a", "b"])
    assert "'a' and 'b' have the same title 'b'" in find_refusal({"a": "b"}, ["a", "b"])
    assert "'a' and 'b' have the same title 'X'" in find_refusal({"a": "X", "b": "X"}, None)
