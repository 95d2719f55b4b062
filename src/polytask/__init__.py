"""Polytask: multi-task deep learning on medical images.

The public names are loaded on first use, so that `import polytask` and `polytask --help` stay fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polytask.cohort import Cohort as Cohort
    from polytask.errors import PolytaskError as PolytaskError
    from polytask.evaluation import evaluate as evaluate
    from polytask.plan import Plan as Plan
    from polytask.predict import Predictor as Predictor
    from polytask.training import train as train

__version__ = "0.1.0"
_POLYTASK_EXPORTS = {
    "Cohort": "polytask.cohort",
    "Plan": "polytask.plan",
    "Predictor": "polytask.predict",
    "PolytaskError": "polytask.errors",
    "evaluate": "polytask.evaluation",
    "train": "polytask.training",
}
__all__ = ["Cohort", "Plan", "PolytaskError", "Predictor", "evaluate", "train"]


def __getattr__(name: str) -> Any:
    if name not in _POLYTASK_EXPORTS:
        raise AttributeError(f"module 'polytask' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_POLYTASK_EXPORTS[name]), name)
