"""The constant-predictor loss of a task whose fields were changed by hand, from the fields alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from polytask.plan.sketch import short
from polytask.tasks.constants import (
    SMALLEST_CONSTANT,
    binary_entropy,
    constant_classification,
    constant_dose,
    constant_multilabel,
    constant_ordinal,
    constant_segmentation,
    label_shares,
)
from polytask.tasks.curves import survival_at


def rescaled(fields: Mapping[str, Any]) -> float | None:
    """The new `constant`, or None when the fields do not tell (regression, Cox) or do not fit together."""
    try:
        value = _constant(fields)
    except (KeyError, TypeError, ValueError, ZeroDivisionError, IndexError):
        return None
    return None if value is None or not np.isfinite(value) else short(value, 5)


def _constant(fields: Mapping[str, Any]) -> float | None:
    match fields["kind"]:
        case "segmentation":
            return constant_segmentation(fields["fractions"], fields["exclusive"])
        case "dose":
            return constant_dose(fields["deviation"], fields["scale"], fields["dvh"])
        case "classification":
            return constant_classification(fields["frequencies"], fields["balanced"])
        case "multilabel":
            return constant_multilabel(fields["frequencies"], fields["balanced"])
        case "ordinal":
            return constant_ordinal(fields["frequencies"])
        case "survival" if fields["loss"] == "hazard":
            return expected_hazard_loss(fields["bins"], fields["hazards"], fields["censoring"])
    return None


def expected_hazard_loss(
    bins: list[float], hazards: list[float], censoring: Mapping[str, list[float]]
) -> float:
    """Negative log-likelihood a subject of answering the hazards: their entropy, weighted by who is still at risk.

    An interval counts who had no event before it and is not censored before its middle.
    """
    right = np.asarray(bins, np.float64)
    left = np.concatenate([[0.0], right[:-1]])
    h = label_shares(hazards)
    free = np.concatenate([[1.0], np.cumprod(1 - h)[:-1]])
    seen = survival_at(censoring, (left + right) / 2)
    return max(float((free * seen * binary_entropy(h)).sum()), SMALLEST_CONSTANT)
