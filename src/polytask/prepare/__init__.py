"""Turn the files of a cohort into batches: store, reading, augmentation, order. Names are loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polytask.prepare.batch import Batch as Batch
    from polytask.prepare.evaluation_sample import full_sample as full_sample
    from polytask.prepare.loader import Loader as Loader
    from polytask.prepare.prepared_image import PreparedImage as PreparedImage
    from polytask.prepare.prepared_image import prepare_image as prepare_image
    from polytask.prepare.store import Store as Store
    from polytask.prepare.store_builder import prepare as prepare

_PREPARE_EXPORTS = {
    "Batch": "batch",
    "Loader": "loader",
    "PreparedImage": "prepared_image",
    "Store": "store",
    "full_sample": "evaluation_sample",
    "prepare": "store_builder",
    "prepare_image": "prepared_image",
}
__all__ = ["Batch", "Loader", "PreparedImage", "Store", "full_sample", "prepare", "prepare_image"]


def __getattr__(name: str) -> Any:
    if name not in _PREPARE_EXPORTS:
        raise AttributeError(f"module 'polytask.prepare' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"polytask.prepare.{_PREPARE_EXPORTS[name]}"), name)
