"""Decides how rare classes and grades are balanced: their cases are drawn more often, and the loss weighs the rest.

A class counts in the loss like q · w: the share q with which it is drawn, times its weight w = 1 / (K · q). This is
1 / K for each of K classes, however q is chosen. Drawing alone would show a few cases again and again; weights alone
leave most steps without a rare class and give the few others a very large gradient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator

from polytask.array_types import Floats
from polytask.kinds.constant_losses import clamp_class_shares
from polytask.kinds.field_limits import ShareNumber
from polytask.kinds.kind import PlanFields
from polytask.kinds.plan_reasons import PlanReasons, format_share_percent, round_number

BALANCING_SHARE_LIMIT = 0.2
"""Classes are balanced if the rarest one has a smaller share (with many classes: less than half of an even share)."""
MAX_SHARE_ERROR = 0.01
"""Shares count as complete if their sum differs from 1 by less than this; in a plan they are rounded."""


def find_balancing_limit(classes: int) -> float:
    """Find the share below which a class of this many is rare.

    With ten classes even shares are 0.1 already, so that the limit falls with the number of classes.
    """
    return min(BALANCING_SHARE_LIMIT, 0.5 / classes)


def choose_drawn_shares(frequencies: Sequence[float]) -> Floats:
    """Choose with which share each class `[K]` is drawn: a rare one with the square root of its share · the limit.

    This is the geometric mean of its share and the limit, the rule of repeat factors (Gupta, Dollár and Girshick 2019,
    LVIS): a class with a quarter of the limit is drawn twice as often as it occurs. The others keep their proportions.
    """
    f = clamp_class_shares(frequencies)
    limit = find_balancing_limit(f.size)
    rare = f < limit
    drawn = np.where(rare, np.sqrt(limit * f), f)
    drawn[~rare] *= (1 - drawn[rare].sum()) / f[~rare].sum()
    return np.asarray(drawn, dtype=np.float64)


def compute_class_weights(frequencies: Sequence[float], drawn_shares: Sequence[float]) -> Floats:
    """Compute the weight of each class `[K]` in the loss, 1 / (K · share), with the shares in which it is drawn.

    Args:
        drawn_shares: empty if classes are drawn as often as they occur.
    """
    shares = clamp_class_shares(drawn_shares or frequencies)
    return np.asarray(1 / (shares.size * shares), dtype=np.float64)


def compute_draw_chances(frequencies: Sequence[float], drawn_shares: Sequence[float]) -> Floats:
    """Compute for each class `[K]` the chance that a drawn case gives way to one of this class.

    If cases give way with the chance π_k to one of class k, the class has the share f_k · (1 − Σ π) + π_k, which is the
    wanted one. At least one class has the chance 0.
    """
    f, drawn = clamp_class_shares(frequencies), clamp_class_shares(drawn_shares)
    remaining = (drawn / f).min()
    return np.asarray(np.maximum(drawn - f * remaining, 0.0), dtype=np.float64)


def find_draw_chances(fields: Mapping[str, Any]) -> Floats:
    """Find the chances of `compute_draw_chances` for a task of a plan; empty if no class is drawn on purpose."""
    if not fields.get("balanced") or not fields.get("drawn_shares"):
        return np.zeros(0)
    return compute_draw_chances(fields["frequencies"], fields["drawn_shares"])


def decide_class_balance(
    frequencies: Sequence[float], counts: Sequence[int], classes: Sequence[str], why: PlanReasons
) -> PlanFields:
    """Decide `balanced` and `drawn_shares` of a task with classes or grades, from their shares and counts `[K]`."""
    limit, rarest = find_balancing_limit(len(classes)), int(np.argmin(frequencies))
    is_rare = frequencies[rarest] < limit
    balanced = why.choose_value("balanced", is_rare)
    why["balanced"] = (
        f"{'on' if is_rare else 'off'}: {classes[rarest]} is the rarest, {counts[rarest]} of {sum(counts)} answers "
        f"({format_share_percent(frequencies[rarest])}; limit {format_share_percent(limit)})"
        + ("; every class counts alike in the loss" if is_rare else "")
    )
    if not balanced or not is_rare:
        reason = "`balanced` is off" if is_rare else "no class is rare"
        why["drawn_shares"] = f"none: cases are drawn as often as they occur, because {reason}"
        return {"balanced": balanced, "drawn_shares": []}
    shares = choose_drawn_shares(frequencies)
    changes = ", ".join(
        f"{word} {format_share_percent(before)} → {format_share_percent(after)}"
        for word, before, after in zip(classes, frequencies, shares, strict=True)
        if before < limit
    )
    why["drawn_shares"] = (
        f"cases of rare classes are drawn more often: {changes} of the drawn answers (square root of share × limit), "
        "and the loss weighs the rest; [] draws them as often as they occur"
    )
    return {"balanced": True, "drawn_shares": [round_number(float(q), 5) for q in shares]}


def require_drawn_shares(shares: list[float]) -> list[float]:
    """Return drawn shares unchanged if they are empty, or above 0 with the sum 1; otherwise raise ValueError."""
    if shares and (min(shares) <= 0 or abs(sum(shares) - 1) > MAX_SHARE_ERROR):
        raise ValueError("expected shares above 0 with the sum 1, or []")
    return shares


DrawnShares = Annotated[list[ShareNumber], AfterValidator(require_drawn_shares)]
