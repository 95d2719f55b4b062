"""Evaluates runs: metrics with intervals on one part of the fold, and the paired comparison of two runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polytask.evaluation.evaluate_run import evaluate as evaluate
    from polytask.evaluation.evaluation_result import Evaluation as Evaluation
    from polytask.evaluation.external.evaluate_on import evaluate_on as evaluate_on
    from polytask.evaluation.run_comparison import compare_runs as compare_runs

_EVALUATION_EXPORTS = {
    "Evaluation": "evaluation_result",
    "compare_runs": "run_comparison",
    "evaluate": "evaluate_run",
    "evaluate_on": "external.evaluate_on",
}
__all__ = ["Evaluation", "compare_runs", "evaluate", "evaluate_on"]


def __getattr__(name: str) -> Any:
    if name not in _EVALUATION_EXPORTS:
        raise AttributeError(f"module 'polytask.evaluation' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"polytask.evaluation.{_EVALUATION_EXPORTS[name]}"), name)
