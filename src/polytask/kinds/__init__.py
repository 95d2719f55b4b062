"""The kinds of task: all that is true of each kind without tensors. No file of this folder loads torch.

A new kind needs a file here, a file in `tasks/`, and its line in `KINDS`.
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
from polytask.kinds.plan_reasons import round_number
from polytask.kinds.regression import RegressionKind
from polytask.kinds.segmentation import SegmentationKind
from polytask.kinds.survival import SurvivalKind
from polytask.kinds.voxel_map import VoxelMapKind

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
    "map": VoxelMapKind(),
}


def find_answer_form(kind: str) -> AnswerForm:
    """Return the form that the answers of a kind have, e.g. `class` or `time`."""
    return KINDS[kind].answer_form


def find_pooled_kind(name: str) -> PooledKind:
    """Return the kind of this name, which must have an answer per visit or subject."""
    kind = KINDS[name]
    assert kind.level == "pooled"
    return kind


def find_voxel_kind(name: str) -> VoxelKind:
    """Return the kind of this name, which must have a value per voxel."""
    kind = KINDS[name]
    assert kind.level == "voxel"
    return kind


def list_kinds_with_field(field: str) -> list[str]:
    """List the kinds whose tasks have a field of this name in the plan."""
    return [name for name, kind in KINDS.items() if field in kind.fields.model_fields]


def find_constant(fields: Mapping[str, Any]) -> float | None:
    """Compute the loss of a constant predictor for a task whose fields were changed by hand.

    None when the fields are not enough to compute it (regression, Cox) or do not fit together.
    """
    # Fields set by hand may have any form here; the check of the whole plan refuses them later with a message.
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
    "find_answer_form",
    "find_constant",
    "find_pooled_kind",
    "find_voxel_kind",
    "list_kinds_with_field",
]
