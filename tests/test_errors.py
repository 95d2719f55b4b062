"""Remedies for wrong words stay quick and short, however many right ones there are."""

from __future__ import annotations

import pickle

import pytest

from polytask import errors
from polytask.documents.document_errors import DocumentError
from polytask.errors import MAX_SUGGESTED_WORDS, PolytaskError, Problem, list_words, suggest_word


def test_the_nearest_of_many_words_is_found_among_the_most_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 wrong words took 18 s when each was compared letter by letter with each of 3,000."""
    words, compared = [f"class_number_{n:04d}" for n in range(3_000)], []
    look = errors.get_close_matches
    monkeypatch.setattr(
        errors, "get_close_matches", lambda word, of, **k: compared.append(len(of)) or look(word, of, **k)
    )
    for n in range(20):
        said = suggest_word(f"clas_numbr_{n:04d}", words)
        assert said.startswith("did you mean 'class_number_")
        assert len(said) < 60
    assert suggest_word("class-number_1234", words) == "did you mean 'class_number_1234'?"
    assert compared == [errors.MAX_CLOSEST_WORDS] * 21


def test_many_words_are_counted_instead_of_listed() -> None:
    words = [f"w{n}" for n in range(3_000)]
    assert list_words(words[:MAX_SUGGESTED_WORDS]) == ", ".join(words[:MAX_SUGGESTED_WORDS])
    assert list_words(words).endswith("w39, … (3,000 in all)")
    assert suggest_word("???", words) == f"use one of {list_words(words)}"
    assert suggest_word("x", []) == "use one of (there is none)"
    assert suggest_word("grad", ["grade", "stage"]) == "did you mean 'grade'?"


def test_an_error_is_one_line_whatever_a_name_holds() -> None:
    said = str(PolytaskError("f: the name 'a\nb\x1b[2J\u2028\ud800' is odd; expected é\u00a0; rename it"))
    assert said == r"f: the name 'a\nb\x1b[2J\u2028\ud800' is odd; expected é" + "\u00a0; rename it"
    assert str(Problem("error", "c", "a\nb", "mend it")) == r"error: a\nb → mend it [c]"


def test_errors_travel_between_processes() -> None:
    for error in (PolytaskError("a: b"), DocumentError("f", "is odd", "a plan", "mend it", missing=True)):
        back = pickle.loads(pickle.dumps(error))
        assert type(back) is type(error)
        assert str(back) == str(error)
        assert back.__dict__ == error.__dict__
