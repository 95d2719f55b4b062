"""Normalize stored voxels for the network by the fold's rules, and add planes that say which channels are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from polytask.cohort.header import count_modality_planes
from polytask.images.volume import Array
from polytask.plan.plan_schema import ImagePlan, NormalizationPlan
from polytask.prepare.plane_statistics import PlaneStatistics


def map_channel_planes(plan: ImagePlan) -> dict[str, slice]:
    """Map each channel to its planes of the array: channel → slice."""
    places: dict[str, slice] = {}
    start = 0
    for name, modality in plan.channels.items():
        places[name] = slice(start, start + count_modality_planes(modality))
        start += count_modality_planes(modality)
    return places


def count_input_planes(plan: ImagePlan) -> int:
    """Count the planes that the encoder reads: those of all channels, and one flag per channel if the plan wants it."""
    return sum(count_modality_planes(m) for m in plan.channels.values()) + count_flag_planes(plan)


def count_flag_planes(plan: ImagePlan) -> int:
    """Count the planes, behind those of the channels, that say which channels are there."""
    return len(plan.channels) if plan.channel_flags else 0


def normalize_planes(
    image: Array,
    statistics: Sequence[PlaneStatistics],
    known: Sequence[bool],
    planes_by_channel: Mapping[str, slice],
    rules: Mapping[str, Sequence[NormalizationPlan]],
) -> npt.NDArray[np.float32]:
    """Normalize planes `[C, *space]` (or a block of them) to float32 by the fold's rules; a missing channel is 0.

    Args:
        image: as stored, any numeric type.
        statistics: of the whole stored planes, also for a block; used by the rule `image`.
        known: for each channel, whether it is there.
        planes_by_channel: from `map_channel_planes`.
        rules: channel → one rule per plane, from the fold.
    """
    out = np.zeros(image.shape, np.float32)
    for (channel, place), is_known in zip(planes_by_channel.items(), known, strict=True):
        if not is_known:
            continue
        for plane, rule in zip(range(place.start, place.stop), rules[channel], strict=True):
            _normalize_one_plane(image[plane], rule, statistics[plane], out[plane])
    return out


def _normalize_one_plane(
    plane: Array, rule: NormalizationPlan, statistics: PlaneStatistics, out: npt.NDArray[np.float32]
) -> None:
    """Compute `(clip(x) − mean) / sd` of one plane into `out`."""
    mean, sd = rule.mean, rule.sd
    if rule.rule == "image":
        mean, sd = statistics.mean, statistics.sd
        if rule.nonzero:
            mean, sd = statistics.nonzero_mean, statistics.nonzero_sd
    out[...] = plane
    if rule.lower is not None or rule.upper is not None:
        np.clip(out, rule.lower, rule.upper, out=out)
    # A constant plane has a deviation of 0: it is only shifted.
    out -= np.float32(mean)
    out *= np.float32(1.0 / sd if sd > 0 else 1.0)


def append_channel_flags(
    image: npt.NDArray[np.float32], known: Sequence[bool], plan: ImagePlan
) -> npt.NDArray[np.float32]:
    """Append a flag plane per channel if the plan wants it (1 = there): `[C, *space]` → `[C + channels, *space]`."""
    if not plan.channel_flags:
        return image
    flags = np.empty((len(known), *image.shape[1:]), np.float32)
    flags[:] = np.asarray(known, np.float32).reshape(-1, *[1] * (image.ndim - 1))
    return np.concatenate([image, flags])
