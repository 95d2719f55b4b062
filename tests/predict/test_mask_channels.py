"""Contours as input channels: a structure that a patient lacks is an empty mask, not a missing image."""

from __future__ import annotations

import numpy as np

from polytask.plan.plan_schema import NormalizationPlan
from polytask.predict.image_checks import find_value_problem


def test_an_empty_mask_is_no_missing_image() -> None:
    empty, rule = np.zeros((1, 4, 4, 4)), NormalizationPlan(rule="fixed")
    assert find_value_problem(empty, "mask", [rule], "scan.cord") is None
    assert find_value_problem(empty, "MR", [rule], "scan.t1") is not None
