"""The kinds of task: what each one is, without tensors.

A new kind is a file here, a file in `tasks/`, and its line in `KINDS`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from polytask.kinds.classification import ClassificationKind
from polytask.kinds.count import CountKind
from polytask.kinds.dose import DoseKind
from polytask.kinds.kind import AnswerForm, PooledKind, VoxelKind
from polytask.kinds.multilabel import MultilabelKind
from polytask.kinds.ordinal import OrdinalKind
from polytask.kinds.reasons import round_number
from polytask.kinds.regression import RegressionKind
from polytask.kinds.segmentation import SegmentationKind
from polytask.kinds.survival import SurvivalKind

AnyKind = PooledKind | VoxelKind

KINDS: dict[str, AnyKind] = {
    "segmentation": SegmentationKind(),
    "classification": ClassificationKind(),
    "multilabel": MultilabelKind(),
    "ordinal": OrdinalKind(),
    "regression": RegressionKind(),
    "count": CountKind(),
    "survival": SurvivalKind(),
    "dose": DoseKind(),
}


def answer_form(kind: str) -> AnswerForm:
    """How the answers of a kind look."""
    return KINDS[kind].answer_form


def find_pooled_kind(name: str) -> PooledKind:
    """A kind with an answer per visit or subject."""
    kind = KINDS[name]
    assert kind.level == "pooled"
    return kind


def find_voxel_kind(name: str) -> VoxelKind:
    """A kind with a value per voxel."""
    kind = KINDS[name]
    assert kind.level == "voxel"
    return kind


def find_constant(fields: Mapping[str, Any]) -> float | None:
    """The constant-predictor loss of a task whose fields were changed by hand; None when the fields do not tell
    (regression, Cox) or do not fit together."""
    try:
        value = KINDS[fields["kind"]].find_constant(fields)
    except (KeyError, TypeError, ValueError, ZeroDivisionError, IndexError):
        return None
    return None if value is None or not math.isfinite(value) else round_number(value, 5)


__all__ = [
    "KINDS",
    "AnyKind",
    "PooledKind",
    "VoxelKind",
    "answer_form",
    "find_constant",
    "find_pooled_kind",
    "find_voxel_kind",
]
