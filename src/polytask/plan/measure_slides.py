"""Measures slides: how many patches show tissue and their colors; for a bag of features, its rows and their values."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from polytask.cohort.cell_values import slide_path
from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.header import SlideInput
from polytask.errors import PolytaskError
from polytask.images.bag_files import read_bag
from polytask.images.slide_patches import (
    MASK_CELLS_PER_PATCH,
    MIN_TISSUE_SHARE,
    PatchSpec,
    choose_even_indices,
    locate_tissue_patches,
    measure_tissue_shares,
    stream_patches,
)
from polytask.images.slides import open_slide
from polytask.kinds.plan_reasons import round_number
from polytask.plan.fingerprint_records import SlideRecord

MAX_COLOR_PATCHES = 128
"""Number of patches per slide whose colors are measured; they are spread evenly over the slide."""
TISSUE_PARTS = MASK_CELLS_PER_PATCH**2
"""Patches are counted by how many of these parts of them are tissue: the cells of the tissue mask in a patch."""


def measure_slides(cohort: Cohort, case: Case) -> dict[str, SlideRecord]:
    """Measure the slides that a case has; the result maps each slide input to its record."""
    paths = {name: slide_path(cohort, case, name) for name in cohort.header.slides}
    return {n: measure_slide(p, cohort.header.slides[n]) for n, p in paths.items() if p is not None}


def measure_slide(path: Path, spec: SlideInput) -> SlideRecord:
    """Measure one slide or one bag of features, read as the header describes it."""
    if spec.features is not None:
        bag = read_bag(path)
        if bag.features.shape[1] != spec.features:
            raise PolytaskError(
                f"{path}: {bag.features.shape[1]} features a patch, but the header says {spec.features}; run "
                "`polytask check` on the cohort"
            )
        mean, variance = _compute_color_moments([bag.features.reshape(-1, 1)])
        return SlideRecord(patches=len(bag.features), size=(0, 0), mpp=None, mean=mean, variance=variance)
    cut = PatchSpec(spec.patch, spec.resolution, spec.downsample, MIN_TISSUE_SHARE)
    with open_slide(path) as slide:
        shares = measure_tissue_shares(slide, cut)
        where = locate_tissue_patches(shares, slide, cut)
        if not len(where):
            raise PolytaskError(
                f"{path}: no patch with enough tissue; expected one at least; run `polytask check` on the cohort"
            )
        few = where[choose_even_indices(len(where), MAX_COLOR_PATCHES)]
        mean, variance = _compute_color_moments(
            pixels.reshape(-1, 3) for pixels in stream_patches(slide, few, cut)
        )
        level = slide.levels[0]
        return SlideRecord(
            patches=len(where),
            size=(level.width, level.height),
            mpp=slide.mpp,
            mean=mean,
            variance=variance,
            tissue_counts=tuple(int((shares >= k / TISSUE_PARTS).sum()) for k in range(TISSUE_PARTS + 1)),
        )


def _compute_color_moments(
    parts: Iterable[npt.NDArray[np.generic]],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Compute mean and variance of each column over all parts `[n, columns]`, with one part in memory at a time."""
    count, total, square = 0, np.zeros(0), np.zeros(0)
    for part in parts:
        # Squares of 8-bit colors overflow in their own type, and float32 sums lose digits over many pixels.
        values = part.astype(np.float64)
        count += len(values)
        total = values.sum(axis=0) + (total if total.size else 0.0)
        square = (values**2).sum(axis=0) + (square if square.size else 0.0)
    mean = total / count
    # The difference of two large numbers may come out slightly below 0 when all values are equal.
    spread = np.maximum(square / count - mean**2, 0.0)
    return tuple(round_number(float(m)) for m in mean), tuple(round_number(float(v)) for v in spread)
