"""The names under which people choose a sharing block."""

from __future__ import annotations

import pytest

from polytask.model.sharing import SHARINGS, list_forms
from polytask.model.sharing_names import LIGHT_NAMES, find_block_and_form, has_forms, name_block_form


def test_every_block_with_a_published_form_has_a_name_for_the_other() -> None:
    assert set(LIGHT_NAMES) == {name for name in SHARINGS if list_forms(name) == ("light", "paper")}
    assert {name for name in SHARINGS if has_forms(name)} == set(LIGHT_NAMES)


@pytest.mark.parametrize(
    ("name", "block", "form"),
    [
        ("mtan", "mtan", "paper"),
        ("mtan_light", "mtan", "light"),
        ("hard", "hard", "light"),
        ("x", "x", "light"),
    ],
)
def test_a_name_stands_for_a_block_and_a_form(name: str, block: str, form: str) -> None:
    assert find_block_and_form(name) == (block, form)
    assert name_block_form(block, form) == name
