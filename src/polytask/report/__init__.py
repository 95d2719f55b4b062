"""The HTML report of a run in one file: what the run is, how good its answers are, and pictures of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polytask.report.run_report import make_report as make_report
    from polytask.report.summary_picture import make_picture as make_picture

_REPORT_MODULES = {"make_picture": "summary_picture", "make_report": "run_report"}
__all__ = ["make_picture", "make_report"]


def __getattr__(name: str) -> Any:
    if name not in _REPORT_MODULES:
        raise AttributeError(f"module 'polytask.report' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"polytask.report.{_REPORT_MODULES[name]}"), name)
