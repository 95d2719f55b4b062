"""Evaluates runs: metrics with intervals on one part of the fold, and the paired comparison of two runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polytask.evaluation.comparison import compare as compare
    from polytask.evaluation.external.judge import evaluate_on as evaluate_on
    from polytask.evaluation.make import evaluate as evaluate
    from polytask.evaluation.result import Evaluation as Evaluation

_PLACES = {
    "Evaluation": "result",
    "compare": "comparison",
    "evaluate": "make",
    "evaluate_on": "external.judge",
}
__all__ = ["Evaluation", "compare", "evaluate", "evaluate_on"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'polytask.evaluation' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"polytask.evaluation.{_PLACES[name]}"), name)
