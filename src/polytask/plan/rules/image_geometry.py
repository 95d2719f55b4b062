"""Decides orientation, crop, scale and spacing of one image input, and computes the sizes of its cases after them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod
from statistics import median
from typing import Literal

import numpy as np

from polytask.cohort.header import ImageInput
from polytask.kinds.plan_reasons import PlanReasons, format_share_percent, format_sizes, round_number
from polytask.plan.fingerprint_records import CropRule, ImageRecord
from polytask.plan.plan_schema import CropPlan

MIN_CROP_SAVING = 0.15
"""A crop is used only when it removes at least this share of the voxels of the median case."""
BODY_CROP_MARGIN = 5.0
"""Margin around the body box, in the unit of the image."""
MAX_NAMED_CASES = 3
"""Largest number of cases that a reason names."""
ANISOTROPY_RATIO = 3.0
"""If the coarsest median spacing exceeds the finest by more than this factor, that axis uses the 10th percentile of the
spacings instead of the median."""
VIEW_COVERAGE = 0.9
"""Share of the cases that a view of the whole image holds along each axis, if the others are far longer: a few long
cases do not make the view of all cases larger or coarser."""
MAX_PROPORTION_RATIO = 1.1
"""Stacks without a physical scale have the same proportions if no axis, measured by the longest one, is this many times
as long in one as in another."""
MAX_VIEW_EXCESS = 1.25
"""If the longest case is at most this many times as long, the view holds it too."""


@dataclass(frozen=True)
class ImageGeometry:
    """The decided geometry, and the size of every case that follows: at `spacing`, after the crop, rounded up.

    `resize` is the box that images without a physical scale are brought to, see `ImagePlan`; None for other images.
    """

    orientation: Literal["RAS", "none"]
    crop: CropPlan
    unit: Literal["mm", "px"]
    resize: tuple[int, ...] | None
    spacing: tuple[float, ...]
    sizes: tuple[tuple[int, ...], ...]

    def find_largest_size(self) -> tuple[int, ...]:
        """Find the largest size of any case, axis by axis."""
        return tuple(int(v) for v in np.max(self.sizes, axis=0))

    def find_view_size(self) -> tuple[int, ...]:
        """Find the size that a view of the whole image should hold, axis by axis: the largest, unless a few cases are
        far longer than all others."""
        # The smallest size that holds this share of the cases; not interpolated, or one long case would still count.
        usual = np.percentile(self.sizes, 100 * VIEW_COVERAGE, axis=0, method="inverted_cdf")
        return tuple(
            most if most <= MAX_VIEW_EXCESS * common else int(common)
            for most, common in zip(self.find_largest_size(), usual, strict=True)
        )

    def describe_view_size(self) -> str:
        """Describe in words which cases the view holds; it begins a clause, "…, costs …"."""
        held, largest = self.find_view_size(), self.find_largest_size()
        if held == largest:
            return f"the largest case, {format_sizes(largest)} voxels"
        longer = sum(any(n > most for n, most in zip(size, held, strict=True)) for size in self.sizes)
        return (
            f"a view of {format_sizes(held)} voxels, which holds at least {format_share_percent(VIEW_COVERAGE)} of the "
            f"cases along each axis ({longer} of {len(self.sizes)} are longer, up to {format_sizes(largest)}, and are "
            "seen through windows)"
        )

    def find_median_size(self) -> tuple[int, ...]:
        """Find the median size of the cases, axis by axis, rounded up."""
        return tuple(ceil(v) for v in np.median(self.sizes, axis=0))


def plan_geometry(
    spec: ImageInput, records: Sequence[ImageRecord], why: PlanReasons, names: Sequence[str] = ()
) -> ImageGeometry:
    """Plan the geometry of one image input from the headers and crop boxes of all cases outside the test part.

    Args:
        spec: what the header says about the input.
        records: one fingerprint record per case.
        why: takes the reasons.
        names: names of the cases, for the reasons.
    """
    orientation = why.choose_value("orientation", _plan_orientation(spec, records, why))
    if spec.dims == 3 and orientation == "none":
        records = [record.turn_to_file_axes() for record in records]
    unit = why.choose_value("unit", _plan_length_unit(records, why, names))
    if unit == "px":
        records = [_convert_to_pixels(record) for record in records]
    crop = why.choose_value("crop", _plan_crop(spec, records, unit, why))
    resize = why.choose_value("resize", _plan_resize(spec, records, unit, why))
    if resize is None:
        spacing = _plan_spacing(records, unit, why)
    else:
        records = [_resize_record(record, resize) for record in records]
        spacing = (1.0,) * spec.dims
        why["spacing"] = f"one pixel of an image that fits `resize`: {format_sizes(spacing, unit)}"
    spacing = why.choose_value("spacing", spacing)
    # 0.01 voxel of tolerance: rounding of n · own / new must not add a voxel to a size that fits exactly.
    sizes = tuple(
        tuple(
            max(1, ceil(n * own / new - 0.01))
            for n, own, new in zip(compute_cropped_size(record, crop), record.spacing, spacing, strict=True)
        )
        for record in records
    )
    return ImageGeometry(orientation, crop, unit, resize, spacing, sizes)


def _plan_orientation(
    spec: ImageInput, records: Sequence[ImageRecord], why: PlanReasons
) -> Literal["RAS", "none"]:
    if spec.dims == 2:
        why["orientation"] = "2D images stay as they are in their files"
        return "none"
    orientations = Counter(r.orientation for r in records)
    listed = ", ".join(f"{code} {n}" for code, n in orientations.most_common(4))
    why["orientation"] = (
        f"axes are flipped and swapped, not resampled, so that they point right, front and up; in the files: {listed}"
    )
    return "RAS"


def _plan_length_unit(
    records: Sequence[ImageRecord], why: PlanReasons, names: Sequence[str]
) -> Literal["mm", "px"]:
    """Choose the unit of lengths: `mm` if every file says how large a pixel is, else `px` for all."""
    bare = [place for place, record in enumerate(records) if not record.physical]
    if not bare:
        why["unit"] = "mm: every file says how large a pixel is"
        return "mm"
    some = "no file says"
    if len(bare) < len(records):
        examples = ", ".join(names[place] for place in bare[:MAX_NAMED_CASES] if place < len(names))
        more = f" ({examples}{', …' if len(bare) > MAX_NAMED_CASES else ''})" if examples else ""
        some = f"{len(bare)} of {len(records)} files{more} do not say"
    others = "; the pixel sizes in the other files are not used" if len(bare) < len(records) else ""
    why["unit"] = f"px: {some} how large a pixel is, so lengths count pixels, not mm{others}"
    return "px"


def _convert_to_pixels(record: ImageRecord) -> ImageRecord:
    """Return the record with all lengths in pixels, even if its file states millimeters."""
    return record.model_copy(update={"spacing": (1.0,) * len(record.spacing)}) if record.physical else record


def _plan_resize(
    spec: ImageInput, records: Sequence[ImageRecord], unit: str, why: PlanReasons
) -> tuple[int, ...] | None:
    """Choose the box that images without a physical scale are brought to: the median size of each axis.

    A stack is scaled only where all stacks have the same proportions. Else nobody knows whether one has more slices
    because it reaches further or because its slices are thinner.
    """
    if unit == "mm":
        why["resize"] = "not used: the files say how large a pixel is"
        return None
    sizes = np.array([record.shape for record in records])
    listed = Counter(map(format_sizes, sizes.tolist())).most_common(MAX_NAMED_CASES)
    named = ", ".join(f"{size} {count}" for size, count in listed)
    named += ", …" if len(set(map(tuple, sizes.tolist()))) > MAX_NAMED_CASES else ""
    if spec.dims == 3 and not have_same_proportions(sizes.tolist()):
        why["resize"] = (
            "not used: without a physical scale, stacks of different proportions may differ in how far they reach or "
            f"in how thin their slices are, and nothing tells which; in the files: {named}"
        )
        return None
    box = tuple(int(n) for n in np.median(sizes, axis=0))
    what = "picture" if spec.dims == 2 else "stack"
    alike = "" if spec.dims == 2 else ", and all stacks have the same proportions"
    why["resize"] = (
        f"pixels of {what}s without a physical scale mean nothing of their own{alike}, so each {what} is scaled, its "
        f"aspect kept, until it just fits the median size {format_sizes(box)}; in the files: {named}"
    )
    return box


def have_same_proportions(sizes: Sequence[Sequence[int]]) -> bool:
    """Whether images of these sizes `[images][axes]` differ in how fine they are, but not in their proportions."""
    edges = np.array(sizes, np.float64)
    shares = edges / edges.max(axis=1, keepdims=True)
    return bool((shares.max(axis=0) <= MAX_PROPORTION_RATIO * shares.min(axis=0)).all())


def _resize_record(record: ImageRecord, box: Sequence[int]) -> ImageRecord:
    """Return the record with its pixels measured in pixels of the scaled image: below 1 where it shrinks."""
    edge = 1 / compute_resize_step(record.shape, box)
    return record.model_copy(update={"spacing": (edge,) * len(record.spacing)})


def compute_resize_step(size: Sequence[int], box: Sequence[int]) -> float:
    """Compute how many pixels of an image become one pixel when it is scaled until it just fits the box.

    Args:
        size: of the image in its file, before any crop: what a crop leaves of it says nothing about its pixels.
        box: the plan's `resize`.
    """
    return max(own / n for own, n in zip(size, box, strict=True))


def _plan_crop(spec: ImageInput, records: Sequence[ImageRecord], unit: str, why: PlanReasons) -> CropPlan:
    """Choose the crop: the body for CT, non-zero voxels for other volumes, none when it would save too little."""
    if spec.dims == 2 or not records:
        why["crop"] = "none: 2D images are used whole"
        return CropPlan()
    modalities = set(spec.channels.values())
    rule: CropRule = "body" if "CT" in modalities else "nonzero"
    margin = BODY_CROP_MARGIN if rule == "body" else 0.0
    trial = CropPlan(rule=rule, margin=margin)
    saved = median(1 - prod(compute_cropped_size(r, trial)) / prod(r.shape) for r in records)
    what = "the body" if rule == "body" else "the voxels that are not zero"
    share = f"{format_share_percent(max(saved, 0))} of the voxels of the median case"
    if saved < MIN_CROP_SAVING:
        why["crop"] = (
            f"none: a crop to {what} would remove {share}, less than {format_share_percent(MIN_CROP_SAVING)}"
        )
        return CropPlan()
    why["crop"] = f"{rule}: a crop to {what} removes {share}" + (
        f"; a margin of {margin:g} {unit} is kept around it" if margin else ""
    )
    return trial


def compute_cropped_size(record: ImageRecord, crop: CropPlan) -> tuple[int, ...]:
    """Compute the number of voxels per axis after the crop, at the spacing of the case itself."""
    # The box of this rule stands in a column of the table, which the fingerprint does not read.
    if crop.rule == "box":
        return record.shape
    low, high = record.boxes[crop.rule]
    wide = [0 if crop.rule == "none" else ceil(crop.margin / s) for s in record.spacing]
    return tuple(
        min(n, hi + w) - max(0, lo - w) for lo, hi, w, n in zip(low, high, wide, record.shape, strict=True)
    )


def _plan_spacing(records: Sequence[ImageRecord], unit: str, why: PlanReasons) -> tuple[float, ...]:
    """Choose the spacing: the median of each axis, but the 10th percentile on an axis that is more than three times as
    coarse as the finest one."""
    all_of = np.array([r.spacing for r in records])
    middle = np.median(all_of, axis=0)
    chosen, extra = middle.copy(), ""
    coarse = int(middle.argmax())
    if middle[coarse] > ANISOTROPY_RATIO * middle.min():
        # The axis never becomes finer than the other axes: more interpolation of thick slices adds voxels, no detail.
        chosen[coarse] = max(np.percentile(all_of[:, coarse], 10), np.delete(middle, coarse).max())
        extra = (
            f"; axis {coarse} is {middle[coarse] / middle.min():.1f} times as coarse as the finest, so it takes the "
            f"10th percentile {chosen[coarse]:.4g} {unit} instead of the median {middle[coarse]:.4g} {unit}"
        )
    spacing = tuple(round_number(float(v), 4) for v in chosen)
    low, high = all_of.min(axis=0), all_of.max(axis=0)
    spread = ", ".join(f"{a:.4g}" if a == b else f"{a:.4g}–{b:.4g}" for a, b in zip(low, high, strict=True))
    why["spacing"] = (
        f"median of each axis over {len(records)} images (range {spread} {unit}){extra}: {format_sizes(spacing, unit)}"
    )
    return spacing
