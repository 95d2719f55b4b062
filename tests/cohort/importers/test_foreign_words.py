"""Names that an importer makes of foreign words."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from polytask.cohort.importers.foreign_words import make_clean_name
from polytask.kinds.header_words import HeaderName


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("T1 (post)", "T1_post"),
        ("-inf", "inf"),
        ("--", "x"),
        ("_-a", "a"),
        ("", "x"),
        ("day", "day_"),
        ("é", "x"),
    ],
)
def test_every_name_is_one_that_a_header_takes(word: str, name: str) -> None:
    assert make_clean_name(word) == name
    assert TypeAdapter(HeaderName).validate_python(name) == name
