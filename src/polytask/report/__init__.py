"""The HTML report of a run in one file: what the run is, how good its answers are, and pictures of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polytask.report.make import make_report as make_report
    from polytask.report.picture import make_picture as make_picture

_PLACES = {"make_picture": "picture", "make_report": "make"}
__all__ = ["make_picture", "make_report"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'polytask.report' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"polytask.report.{_PLACES[name]}"), name)
