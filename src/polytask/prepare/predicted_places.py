"""Find the places of crops where a predicted mask has its largest parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from polytask.prepare.finding_places import Place, list_component_middles
from polytask.prepare.tiles import list_tile_centers


def find_predicted_places(
    probability: npt.NDArray[np.float32], size: Sequence[int], count: int
) -> list[Place]:
    """Find the places of at most `count` crops of `size` by a predicted mask `[*space]`, in voxels of the mask.

    They lie on the components of the mask, the largest first. Where these are too few, or none, the surest tiles of a
    grid over the image follow, so that a case without a finding is read in crops by the same rule. A tile counts with
    its highest probability, as a mean over 3 voxels along each axis, and lies half a crop or more away from the others.
    """
    places = list_component_middles(probability, count)
    smooth = ndimage.uniform_filter(probability, 3, mode="constant")
    tiles = np.array(list_tile_centers(probability.shape, size))
    low = np.maximum(0, tiles - np.array(size) // 2)
    highest = [
        smooth[tuple(slice(lo, lo + s) for lo, s in zip(start, size, strict=True))].max()
        for start in low.tolist()
    ]
    for number in np.argsort(-np.array(highest), kind="stable").tolist():
        if len(places) == count:
            break
        distances = np.abs(np.reshape(places, (-1, len(size))) - tiles[number]) / np.array(size)
        if (distances.max(axis=1) >= 0.5).all():
            places.append(tuple(float(value) for value in tiles[number]))
    return places
