"""Predicts with trained runs or an exported model, in the geometry of the user's files; exports models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polytask.predict.bundle import export as export
    from polytask.predict.predictor import Predictor as Predictor

_PLACES = {"Predictor": "predictor", "export": "bundle"}
__all__ = ["Predictor", "export"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'polytask.predict' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"polytask.predict.{_PLACES[name]}"), name)
