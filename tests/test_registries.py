"""Registries: each can be read, each member a name fit for the command line and a docstring line."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from polytask.errors import PolytaskError
from polytask.registries import REGISTRIES, find_summary_line, list_members, load_registry


@pytest.mark.parametrize("name", REGISTRIES)
def test_every_member_has_a_name_and_a_line(name: str) -> None:
    found = list_members(name)
    assert found, "an empty registry"
    assert [m for m, line in found.items() if not line or m != m.strip() or " " in m] == []


def test_members_keep_the_order_of_the_registry() -> None:
    assert list(list_members("sharing")) == list(load_registry("sharing"))
    assert {"hard", "single"} <= set(list_members("sharing"))


def test_a_wrong_name_gets_the_nearest_right_one() -> None:
    with pytest.raises(PolytaskError, match="did you mean 'sharing'"):
        load_registry("sharings")
    with pytest.raises(PolytaskError, match="choose from tasks"):
        load_registry("zzz")


def test_line_is_the_first_docstring_line() -> None:
    @dataclass(frozen=True)
    class Bare:
        field: int = 0

    @dataclass(frozen=True)
    class Said:
        """What it is.

        And more.
        """

        field: int = 0

    @dataclass(frozen=True)
    class Named:
        """A kind of thing."""

        name: str = "this one"

    def function() -> None:
        """Does it."""

    assert [find_summary_line(m) for m in (Bare, Bare())] == ["", ""]
    assert [find_summary_line(m) for m in (Said, Said(), function)] == [
        "What it is.",
        "What it is.",
        "Does it.",
    ]
    assert [find_summary_line(m) for m in (Named, Named())] == ["A kind of thing.", "this one"]
