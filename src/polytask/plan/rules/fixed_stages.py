"""Makes the stages of a network go with what was set by hand: widths, blocks or strides, or the size of an array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from polytask.errors import PolytaskError
from polytask.kinds.plan_reasons import PlanReasons
from polytask.plan.rules.network_cost import Topology

StageValue = TypeVar("StageValue")


def fix_stages(planned: Topology, why: PlanReasons) -> Topology:
    """Return the network with the widths, blocks and kernels set by hand; they also say how many stages it has.

    Raises:
        PolytaskError: two of widths, blocks, kernels and strides were set and have different numbers of stages.
    """
    widths, blocks = why.choose_value("widths", planned.widths), why.choose_value("blocks", planned.blocks)
    kernels = why.choose_value("kernels", planned.kernels or None) or ()
    stages = {"strides": len(planned.strides), "widths": len(widths), "blocks": len(blocks)}
    if kernels:
        stages["kernels"] = len(kernels)
    fixed = {key: count for key, count in stages.items() if why.is_fixed(key)}
    if len(set(fixed.values())) > 1:
        counts = " and ".join(f"{key} {count}" for key, count in fixed.items())
        raise PolytaskError(
            f"--set {why.quote_settings(*fixed)}: different numbers of stages ({counts}); expected the same in each"
        )
    count = next(iter(fixed.values()), len(planned.strides))
    if count != len(planned.strides):
        why.lock_reason("strides", f"follows {' and '.join(fixed)}, set by hand: {count} stages")
    # With more stages than planned the last ones halve what the last planned one halves.
    last = planned.strides[-1] if len(planned.strides) > 1 else (2,) * planned.dims
    more = count - len(planned.strides)
    return replace(
        planned,
        widths=_fix_length(widths, count),
        blocks=_fix_length(blocks, count),
        strides=planned.strides[:count] + (last,) * more,
        kernels=_fix_length(kernels, count),
    )


def _fix_length(values: tuple[StageValue, ...], count: int) -> tuple[StageValue, ...]:
    """Cut a value for each stage to this number of stages, or repeat the last one."""
    return values[:count] + values[-1:] * (count - len(values))


def fix_divisor(planned: Topology, key: str, size: Sequence[int], why: PlanReasons) -> Topology:
    """Return the network with strides that divide a size which was set by hand, unless the strides were set too.

    The deepest halving of an axis is taken out if the rest then divides it. A second one never is: the deepest stage
    would see little more than the finest one.

    Args:
        planned: the network for this size. key: `view` or `patch`. size: what was set for it.
        why: knows what was set by hand, and takes the reason.

    Raises:
        PolytaskError: the size is not divisible; the message names the sizes next to it.
    """
    if why.is_fixed("strides"):
        return planned
    strides = [list(stage) for stage in planned.strides]
    for axis, (n, total) in enumerate(zip(size, planned.total, strict=True)):
        if n % total and n % (total // 2):
            near = [max(t, round(m / t) * t) for m, t in zip(size, planned.total, strict=True)]
            raise PolytaskError(
                f"--set {why.quote_settings(key)}: {list(size)} is not divisible by the total stride "
                f"{list(planned.total)}; use {near}, or set {why.prefix}strides as well"
            )
        if n % total:
            deepest = max(stage for stage, stride in enumerate(strides) if stride[axis] > 1)
            strides[deepest][axis] = 1
    if all(n % total == 0 for n, total in zip(size, planned.total, strict=True)):
        return planned
    why.lock_reason(
        "strides", f"follows {key}, set by hand: an axis is halved as often as this size can be divided"
    )
    count = len(strides)
    if not any(why.is_fixed(key) for key in ("widths", "blocks", "kernels")):
        count = max((stage for stage, stride in enumerate(strides) if max(stride) > 1), default=0) + 1
    return replace(
        planned,
        widths=planned.widths[:count],
        blocks=planned.blocks[:count],
        kernels=planned.kernels[:count],
        strides=tuple(tuple(stage) for stage in strides[:count]),
    )
