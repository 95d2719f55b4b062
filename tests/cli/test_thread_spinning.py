"""How long waiting threads spin is set before torch is loaded, unless the person has said something else."""

from __future__ import annotations

import os

import pytest

from polytask.cli import limit_thread_spinning


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ({}, "1000"),
        ({"GOMP_SPINCOUNT": "5"}, "5"),
        ({"OMP_WAIT_POLICY": "active"}, None),
    ],
)
def test_short_spin_unless_asked_otherwise(
    own: dict[str, str], found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    limit_thread_spinning()
    assert os.environ.get("GOMP_SPINCOUNT") == found
