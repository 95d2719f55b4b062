"""Remedies for wrong words stay quick and short, however many right ones there are."""

from __future__ import annotations

import time

from polytask.errors import LISTED, list_words, nearest


def test_the_nearest_of_many_words_is_found_at_once() -> None:
    words = [f"class_number_{n:04d}" for n in range(3_000)]
    began = time.process_time()
    for n in range(100):
        said = nearest(f"clas_numbr_{n:04d}", words)
        assert said.startswith("did you mean 'class_number_")
        assert len(said) < 60
    assert nearest("class-number_1234", words) == "did you mean 'class_number_1234'?"
    assert time.process_time() - began < 10, "it took 18 s when each was compared with each"


def test_many_words_are_counted_instead_of_listed() -> None:
    words = [f"w{n}" for n in range(3_000)]
    assert list_words(words[:LISTED]) == ", ".join(words[:LISTED])
    assert list_words(words).endswith("w39, … (3,000 in all)")
    assert nearest("???", words) == f"use one of {list_words(words)}"
    assert nearest("x", []) == "use one of (there is none)"
    assert nearest("grad", ["grade", "stage"]) == "did you mean 'grade'?"
