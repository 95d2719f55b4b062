"""Predicts with trained runs or an exported model, in the geometry of the user's files; exports models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polytask.predict.bundle import export as export
    from polytask.predict.predictor import Predictor as Predictor

_PREDICT_EXPORTS = {"Predictor": "predictor", "export": "bundle"}
__all__ = ["Predictor", "export"]


def __getattr__(name: str) -> Any:
    if name not in _PREDICT_EXPORTS:
        raise AttributeError(f"module 'polytask.predict' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"polytask.predict.{_PREDICT_EXPORTS[name]}"), name)
