"""Cut an image into tiles of one size: the windows that cover it, and the places where crops of findings may lie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

import torch
from torch import Tensor

from polytask.prepare.geometry_draw import make_identity_draw
from polytask.prepare.window import make_view_window

TILE_OVERLAP = 0.25
"""Share of a tile that it has in common with its neighbor: a finding of up to that width lies whole in one of them."""


def find_window_starts(size: int, patch: int, overlap: float) -> list[int]:
    """Find the first voxels of the windows on one axis: evenly spread, with at least `overlap` of a patch in common."""
    if size <= patch:
        return [0]
    step = max(1, int(patch * (1 - overlap)))
    count = -(-(size - patch) // step) + 1
    return [round(i * (size - patch) / (count - 1)) for i in range(count)]


def list_tile_centers(shape: Sequence[int], size: Sequence[int]) -> list[tuple[int, ...]]:
    """List the middle voxels of a grid of tiles of `size` that covers an image of `shape`."""
    starts = [find_window_starts(n, s, TILE_OVERLAP) for n, s in zip(shape, size, strict=True)]
    return [tuple(a + s // 2 for a, s in zip(start, size, strict=True)) for start in product(*starts)]


def list_named_centers(places: Sequence[Sequence[float]], shape: Sequence[int]) -> list[tuple[int, ...]]:
    """List the middle voxels of crops at places that the table names; without a place, the middle of the image."""
    return [tuple(round(value) for value in place) for place in places] or [tuple(n // 2 for n in shape)]


def cut_tiles(image: Tensor, centers: Iterable[Sequence[int]], size: Sequence[int]) -> Tensor:
    """Cut tiles out of `[C, *space]` → `[G, C, *size]`.

    A tile that would reach over the border is moved inward; where the image is smaller than a tile, zeros surround it.
    """
    shape, dims = image.shape[1:], len(size)
    tiles = []
    for center in centers:
        window = make_view_window(make_identity_draw(dims), shape, (1.0,) * dims, size, center)
        tiles.append(window.linear(image[(slice(None), *window.block)]))
    return torch.stack(tiles)


def stack_tiles(tiles: Sequence[Tensor | None], planes: int, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Stack the tiles `[G, C, *size]` of V visits (None: no image) as `[V, G, C, *size]`, with known `[V, G]`.

    G is the largest number of any visit, at least one.
    """
    count = max([1, *(len(own) for own in tiles if own is not None)])
    values = torch.zeros((len(tiles), count, planes, *size))
    known = torch.zeros((len(tiles), count), dtype=torch.bool)
    for slot, own in enumerate(tiles):
        if own is not None:
            values[slot, : len(own)], known[slot, : len(own)] = own, True
    return values, known
