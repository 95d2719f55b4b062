"""`polytask list`: all registries, one registry, JSON, and a misspelt name."""

from __future__ import annotations

import json

import pytest

from polytask.cli.list_ import list_
from polytask.errors import PolytaskError
from polytask.registries import REGISTRIES, list_members


def test_json_names_every_registry_and_member(capsys: pytest.CaptureFixture[str]) -> None:
    list_(None, as_json=True)
    assert json.loads(capsys.readouterr().out) == {name: list_members(name) for name in REGISTRIES}


def test_text_shows_each_member_on_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    list_("sharing")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"sharing: {REGISTRIES['sharing'].line}"
    assert [line.split()[0] for line in lines[1:]] == list(list_members("sharing"))


def test_one_registry_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    list_("visit_fusion", as_json=True)
    assert list(json.loads(capsys.readouterr().out)) == ["visit_fusion"]


def test_misspelt_registry_is_an_error_for_people() -> None:
    with pytest.raises(PolytaskError, match="did you mean"):
        list_("format")


def test_a_former_name_of_a_registry_is_read_with_a_notice(capsys: pytest.CaptureFixture[str]) -> None:
    list_("time", as_json=True)
    said = capsys.readouterr()
    assert list(json.loads(said.out)) == ["visit_fusion"]
    assert said.err == "polytask list: time is now called visit_fusion\n"
