"""Turn the files of a cohort into batches: store, reading, augmentation, order. Names are loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polytask.prepare.batch import Batch as Batch
    from polytask.prepare.full import full_sample as full_sample
    from polytask.prepare.image import PreparedImage as PreparedImage
    from polytask.prepare.image import prepare_image as prepare_image
    from polytask.prepare.loader import Loader as Loader
    from polytask.prepare.make import prepare as prepare
    from polytask.prepare.store import Store as Store

_PLACES = {
    "Batch": "batch",
    "Loader": "loader",
    "PreparedImage": "image",
    "Store": "store",
    "full_sample": "full",
    "prepare": "make",
    "prepare_image": "image",
}
__all__ = ["Batch", "Loader", "PreparedImage", "Store", "full_sample", "prepare", "prepare_image"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'polytask.prepare' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"polytask.prepare.{_PLACES[name]}"), name)
