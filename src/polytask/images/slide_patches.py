"""Cut a slide into a bag: find the patches of a grid with enough tissue, and read their pixels one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from polytask.errors import PolytaskError
from polytask.images.slide_pyramid import Slide, SlidePixels, find_best_level
from polytask.images.tissue import find_tissue

PatchCorners = npt.NDArray[np.int32]
TissueShares = npt.NDArray[np.float64]
MIN_TISSUE_SHARE = 0.5
"""Default for the share of a patch that must be tissue; a plan can name another."""
MASK_CELLS_PER_PATCH = 8
"""Number of tissue mask cells along one edge of a patch."""
MIN_PATCH_SCALE = 0.9
"""Smallest allowed size of a patch pixel, as a share of a slide pixel. Scanners differ by some percent; still finer
patches would invent pixels."""


@dataclass(frozen=True)
class PatchSpec:
    """How a slide is cut into patches. Exactly one of `mpp` and `downsample` says how fine the patches are.

    Args:
        patch: pixels along one edge of a patch.
        mpp: µm along one such pixel.
        downsample: pixels of the slide's finest level along one such pixel.
        tissue: share of a patch that must be tissue.
    """

    patch: int
    mpp: float | None
    downsample: float | None
    tissue: float


def find_patch_downsample(slide: Slide, cut: PatchSpec) -> float:
    """Compute how many pixels of the slide's finest level one pixel of a patch spans."""
    if cut.downsample is not None:
        return cut.downsample
    if slide.mpp is None:
        raise PolytaskError(
            f"{slide.path}: does not say how many µm a pixel has, which `mpp` needs; expected a slide with a scale; "
            "give the slide input a `downsample` instead"
        )
    assert cut.mpp is not None
    scale = cut.mpp / slide.mpp
    if scale < MIN_PATCH_SCALE:
        raise PolytaskError(
            f"{slide.path}: has {slide.mpp:.3g} µm a pixel, coarser than the {cut.mpp:g} of the header; expected `mpp` "
            f"of {slide.mpp:.3g} or more; change the slide input, or leave this slide out"
        )
    return scale


def find_patch_extent(slide: Slide, cut: PatchSpec) -> int:
    """Compute the edge of a patch in pixels of the slide's finest level."""
    return max(1, round(cut.patch * find_patch_downsample(slide, cut)))


def find_tissue_patches(slide: Slide, cut: PatchSpec) -> PatchCorners:
    """Find the whole patches with enough tissue, row by row.

    Returns:
        their upper left corners `[P, 2]`: x and y in pixels of the finest level.
    """
    return locate_tissue_patches(measure_tissue_shares(slide, cut), slide, cut)


def measure_tissue_shares(slide: Slide, cut: PatchSpec) -> TissueShares:
    """Measure which share of each whole patch is tissue: `[rows, columns]`, 0…1.

    Patches lie side by side from the slide's upper left corner; what is left at the far borders is no patch.
    """
    extent, size = find_patch_extent(slide, cut), slide.levels[0]
    across, down = size.width // extent, size.height // extent
    if not across or not down:
        return np.zeros((0, 0))
    mask = find_tissue(slide, extent / MASK_CELLS_PER_PATCH)
    # A summed-area table: the tissue in any rectangle follows from four of its numbers.
    sums = np.zeros([n + 1 for n in mask.tissue.shape], np.int64)
    sums[1:, 1:] = mask.tissue.cumsum(axis=0).cumsum(axis=1)
    top, bottom = _find_mask_cells(down, extent, mask.cell, mask.tissue.shape[0])
    left, right = _find_mask_cells(across, extent, mask.cell, mask.tissue.shape[1])
    inside = sums[bottom][:, right] - sums[top][:, right] - sums[bottom][:, left] + sums[top][:, left]
    shares: TissueShares = inside / np.outer(bottom - top, right - left)
    return shares


def locate_tissue_patches(shares: TissueShares, slide: Slide, cut: PatchSpec) -> PatchCorners:
    """Return the upper left corners `[P, 2]` of the patches with enough tissue, from the `[rows, columns]` shares."""
    rows, columns = np.nonzero(shares >= cut.tissue)
    return (np.stack([columns, rows], axis=1) * find_patch_extent(slide, cut)).astype(np.int32)


def stream_patches(slide: Slide, where: PatchCorners, cut: PatchSpec) -> Iterator[SlidePixels]:
    """Yield the pixels `[patch, patch, 3]` of each patch; only one patch at a time is in memory.

    Args:
        where: upper left corners `[P, 2]`, see `find_tissue_patches`.
    """
    scale = find_patch_downsample(slide, cut)
    level = find_best_level(slide, scale)
    fine = slide.levels[level].downsample
    edge = max(1, round(cut.patch * scale / fine))
    for x, y in where.tolist():
        pixels = slide.read(level, round(x / fine), round(y / fine), edge, edge)
        if edge != cut.patch:
            # Pillow widens the filter when it shrinks, so that this is a mean and not every n-th pixel.
            small = Image.fromarray(pixels).resize((cut.patch, cut.patch), Image.Resampling.BILINEAR)
            pixels = np.asarray(small)
        yield pixels


def choose_even_indices(count: int, limit: int) -> npt.NDArray[np.intp]:
    """Choose at most `limit` of `count` patches, evenly spread, and return their indices."""
    return np.arange(count) if count <= limit else np.linspace(0, count - 1, limit).round().astype(np.intp)


def _find_mask_cells(
    count: int, extent: int, cell: float, most: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Find the mask cells under each of `count` patches along one axis: the first one, and one past the last.

    Args:
        extent: edge of a patch in pixels of the finest level.
        cell: edge of a mask cell in the same pixels.
        most: cells of the mask along this axis.
    """
    edges = np.arange(count + 1) * (extent / cell)
    first = np.minimum(edges[:-1].round().astype(np.intp), most - 1)
    return first, np.minimum(np.maximum(edges[1:].round().astype(np.intp), first + 1), most)
