"""The training loop, the state it resumes from, and its log. `train` and `Run` are imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polytask.training.folder import Run as Run
    from polytask.training.run import train as train

_TRAINING_MODULES = {"Run": "folder", "train": "run"}
__all__ = ["Run", "train"]


def __getattr__(name: str) -> Any:
    if name not in _TRAINING_MODULES:
        raise AttributeError(f"module 'polytask.training' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"polytask.training.{_TRAINING_MODULES[name]}"), name)
