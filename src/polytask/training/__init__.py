"""The training loop, the state it resumes from, and its log. Its public names are imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polytask.training.folder import Run as Run
    from polytask.training.run import train as train
    from polytask.training.run_request import RunRequest as RunRequest

_TRAINING_MODULES = {"Run": "folder", "RunRequest": "run_request", "train": "run"}
__all__ = ["Run", "RunRequest", "train"]


def __getattr__(name: str) -> Any:
    if name not in _TRAINING_MODULES:
        raise AttributeError(f"module 'polytask.training' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"polytask.training.{_TRAINING_MODULES[name]}"), name)
