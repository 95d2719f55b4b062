"""Swap input channels that are masks of mirrored organs (`parotid_l`, `parotid_r`), which a flip exchanges."""

from __future__ import annotations

from collections.abc import Sequence

from polytask.cohort.header import ImageInput
from polytask.plan.plan_schema import ImagePlan
from polytask.prepare.normalization import count_input_planes, map_channel_planes


def order_mirrored_channels(image: ImageInput, plan: ImagePlan) -> tuple[int, ...]:
    """Find for each channel the index of the channel that takes its place after a left-right flip; () without pairs."""
    if not image.mirror:
        return ()
    names = list(plan.channels)
    order = list(range(len(names)))
    for a, b in image.mirror:
        first, second = names.index(a), names.index(b)
        order[first], order[second] = second, first
    return tuple(order)


def order_mirrored_planes(plan: ImagePlan, channel_order: Sequence[int]) -> list[int]:
    """Extend an order of channels to the planes that the encoder reads, including the flag planes of the channels."""
    places = list(map_channel_planes(plan).values())
    planes = [
        plane for channel in channel_order for plane in range(places[channel].start, places[channel].stop)
    ]
    flags = len(planes) if count_input_planes(plan) > len(planes) else None
    return planes if flags is None else [*planes, *(flags + channel for channel in channel_order)]
