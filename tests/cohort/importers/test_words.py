"""Names that an importer makes of foreign words."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from polytask.cohort.importers.words import clean
from polytask.kinds.words import Name


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
    assert clean(word) == name
    assert TypeAdapter(Name).validate_python(name) == name
