"""Which tests run in one process: those that share a fixture, so that what it trains is trained once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests of one file, and files that share a fixture of the whole session, into one group.

    `pytest -n 2 --dist loadgroup` gives a group to one process. Without it a fixture of the session is made in each.
    """
    heads: dict[str, str] = {}

    def find_head(name: str) -> str:
        while heads.setdefault(name, name) != name:
            name = heads[name]
        return name

    files = [item.nodeid.partition("::")[0] for item in items]
    for item, file in zip(items, files, strict=True):
        for fixture in name_shared_fixtures(item):
            heads[find_head(fixture)] = find_head(file)
    for item, file in zip(items, files, strict=True):
        item.add_marker(pytest.mark.xdist_group(find_head(file)))


def name_shared_fixtures(item: pytest.Item) -> Iterator[str]:
    """Each of our fixtures of the whole session that a test asks for, with the folder that defines it."""
    info = getattr(item, "_fixtureinfo", None)
    for name, found in (info.name2fixturedefs if info else {}).items():
        if found[-1].scope == "session" and found[-1].baseid.startswith("tests"):
            yield f"{found[-1].baseid}: {name}"
