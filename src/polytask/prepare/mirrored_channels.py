"""Swap input channels that are masks of mirrored organs (`parotid_l`, `parotid_r`), which a flip exchanges."""

from __future__ import annotations

from collections.abc import Sequence

from polytask.cohort.header import ImageInput
from polytask.plan.plan import ImagePlan
from polytask.prepare.normalise import channel_planes, input_planes


def order_channels(image: ImageInput, plan: ImagePlan) -> tuple[int, ...]:
    """Find for each channel the index of the channel that takes its place after a left-right flip; () without pairs."""
    if not image.mirror:
        return ()
    names = list(plan.channels)
    order = list(range(len(names)))
    for a, b in image.mirror:
        first, second = names.index(a), names.index(b)
        order[first], order[second] = second, first
    return tuple(order)


def order_planes(plan: ImagePlan, order: Sequence[int]) -> list[int]:
    """Extend an order of channels to the planes that the encoder reads, including the flag planes of the channels."""
    places = list(channel_planes(plan).values())
    planes = [plane for channel in order for plane in range(places[channel].start, places[channel].stop)]
    flags = len(planes) if input_planes(plan) > len(planes) else None
    return planes if flags is None else [*planes, *(flags + channel for channel in order)]
