"""Checks upper limits: a plan from elsewhere cannot ask for a network or an image that no machine can hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite
from typing import TYPE_CHECKING

from polytask.plan.validate_values import find_excess

if TYPE_CHECKING:
    from polytask.plan.plan_schema import FoldPlan, Plan

MAX_MODEL_VALUES = {"embedding": 65_536, "deep_supervision": 20}
MIN_PASSES, MAX_PASSES = 2, 64
"""Monte-Carlo passes: one has no spread, and more than these tell nothing more."""
MIN_INTENSITY_SD, MAX_MEAN_IN_SDS = 1e-15, 1e12
"""Limits of intensities: the smallest deviation, and how many deviations their mean may lie from 0. A network computes
in 32 bits: dividing by a smaller deviation gives numbers whose squares are infinite."""


def list_limit_breaches(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield (place, what is wrong and what to do) for every value that is too large."""
    shared = plan.shared
    for key, most in MAX_MODEL_VALUES.items():
        if problem := find_excess(getattr(shared.model, key), most):
            yield f"shared.model.{key}", problem
    if shared.model.embedding < 1 or shared.model.deep_supervision < 0:
        yield "shared.model.embedding", "must be at least 1, and deep_supervision at least 0"
    if shared.model.passes is not None and not MIN_PASSES <= shared.model.passes <= MAX_PASSES:
        yield (
            "shared.model.passes",
            f"{shared.model.passes} passes; expected {MIN_PASSES} to {MAX_PASSES}, or null for the plain answer",
        )
    if len(shared.augmentation.flip) > 3:
        yield "shared.augmentation.flip", "an image has at most three axes"
    if len(shared.augmentation.flip_2d or ()) > 2:
        yield "shared.augmentation.flip_2d", "a 2D image has two axes"
    for number, fold in plan.folds.items():
        yield from _list_number_breaches(f"folds.{number}", fold)


def _list_number_breaches(place: str, fold: FoldPlan) -> Iterator[tuple[str, str]]:
    """Yield breaches of the numbers that scale voxels, pixels and cells: all are finite, no deviation is negative."""
    rules = {
        f"normalization.{name}.{channel}": planes
        for name, channels in fold.normalization.items()
        for channel, planes in channels.items()
    } | {f"slides.{name}": planes for name, planes in fold.slides.items()}
    for key, planes in rules.items():
        for rule in planes:
            if not _are_finite(v for v in (rule.lower, rule.upper, rule.mean, rule.sd) if v is not None):
                yield f"{place}.{key}", "its numbers must be finite, and below 1e30"
            # An sd of exactly 0 is left to the reader of the plan, which divides by 1 then.
            if rule.sd and (rule.sd < MIN_INTENSITY_SD or abs(rule.mean) > MAX_MEAN_IN_SDS * rule.sd):
                yield (
                    f"{place}.{key}",
                    f"sd {rule.sd:g} is too small for mean {rule.mean:g}; correct one of them",
                )
            if rule.sd < 0 or (rule.lower is not None and rule.upper is not None and rule.lower > rule.upper):
                yield f"{place}.{key}", "sd must be 0 or more, and `lower` not above `upper`"
    for table, columns in fold.tables.items():
        for name, column in columns.items():
            if not _are_finite((column.mean, column.sd)) or column.sd < 0:
                yield (
                    f"{place}.tables.{table}.{name}",
                    "mean and sd must be finite, and sd 0 or more",
                )


def _are_finite(values: Iterable[float]) -> bool:
    return all(isfinite(v) and abs(v) < 1e30 for v in values)
