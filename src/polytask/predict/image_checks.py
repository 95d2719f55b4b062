"""Checks that images are of the kind a model was trained on: dimensions, channels, modality and values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from polytask.cohort.cell_values import image_paths
from polytask.cohort.cohort import Cohort
from polytask.cohort.header import ImageInput, Modality, count_modality_planes
from polytask.errors import PolytaskError
from polytask.images.dicom import read_dicom_modality
from polytask.images.formats import DICOM_FOLDER, find_image_ending, probe_image_file, read_image_file
from polytask.images.geometry import find_axis_orientation
from polytask.images.volume import Array, Grid, ImageInfo
from polytask.plan.plan_schema import FoldPlan, ImagePlan, NormalizationPlan, Plan
from polytask.plan.rules.image_geometry import have_same_proportions

DICOM_MODALITIES: dict[str, tuple[str, ...]] = {
    "CT": ("CT",),
    "MR": ("MR",),
    "PET": ("PT",),
    "US": ("US", "IVUS"),
    "OCT": ("OCT", "OPT"),
}
"""Modality of a channel → the words of DICOM for it; for other modalities the word is not checked."""
MAX_SCALE_FACTOR = 5.0
"""A voxel edge, or an image, that is so many times larger or smaller than in training causes a warning. Organs do not
differ so much between people, but lengths do when meters or centimeters are read as millimeters."""
WORTHLESS_WARNING = "answers may be worthless"
MIN_SHARE_IN_RANGE = 0.001
"""The least share of voxels that must lie in the range that held 99 % of the training foreground."""
MAX_DEVIATIONS = 20.0
"""How many training deviations the median of a color may lie from the training mean; its values must also span at
least one deviation divided by this. Where 0–255 was trained, pictures in 0–1 or 0–65535 break this rule, photographs
never do."""
MAX_SAMPLED_VOXELS = 1_000_000
"""About how many voxels of a plane are looked at."""


def refuse_unfamiliar_images(
    cohort: Cohort,
    plan: Plan,
    fold: FoldPlan,
    force: bool = False,
    on_file_read: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Refuse the first image that is not like those of training; all headers are checked before any voxels are read.

    Args:
        fold: what a member learned about intensities.
        force: accept any voxel values; headers are checked all the same.
        on_file_read: called with (files read, all files) after each file.

    Returns:
        warnings: images whose scale is far from training's.
    """
    files = list(_list_image_files(cohort))
    scales: dict[str, list[str]] = {}
    for where, name, channel, path in files:
        image, info = cohort.header.images[name], probe_image_file(path, cohort.header.images[name].dims)
        for problem in _find_header_problems(path, image, f"{name}.{channel}", image.channels[channel], info):
            raise PolytaskError(f"{where}: {path}: {problem}")
        if scale := find_scale_problem(info.grid, plan.shared.images[name]):
            scales.setdefault(name, []).append(f"{where}: {scale}")
    # A second pass: headers take milliseconds, voxels may take minutes, so a wrong file is reported early.
    for k, (where, name, channel, path) in enumerate([] if force else files):
        image, rules = cohort.header.images[name], fold.normalization.get(name, {}).get(channel, [])
        array = read_image_file(path, dims=image.dims).array
        if values := find_value_problem(array, image.channels[channel], rules, f"{name}.{channel}"):
            raise PolytaskError(f"{where}: {path}: {values}, or predict anyway with --force")
        if on_file_read:
            on_file_read(k + 1, len(files))
    more = {
        n: f" ({len(problems)} files have this problem)" if len(problems) > 1 else ""
        for n, problems in scales.items()
    }
    return [problems[0] + more[name] for name, problems in scales.items()]


def _list_image_files(cohort: Cohort) -> Iterator[tuple[str, str, str, Path]]:
    """Yield (who, input, channel, file) of every image file of the cohort."""
    for case in cohort.cases:
        where = f"subject {case.subject}" + (f", visit {case.visit}" if case.visit else "")
        for name in cohort.header.images:
            for channel, path in image_paths(cohort, case, name).items():
                if path is not None:
                    yield where, name, channel, path


def _find_header_problems(
    path: Path, image: ImageInput, channel: str, modality: Modality, info: ImageInfo
) -> Iterator[str]:
    """Yield what is wrong with an image as far as its header tells."""
    size = "×".join(str(n) for n in info.grid.shape)
    if image.dims == 3 and min(info.grid.shape) == 1:
        yield f"a flat picture ({size}), but {channel} is 3D; give a volume of several slices"
    wanted = count_modality_planes(modality)
    if info.channels != wanted:
        kind = "colors" if wanted == 3 else "number per voxel"
        yield (
            f"{info.channels} values per voxel, but {channel} is {modality} with {wanted} {kind}; give one file for "
            "each channel, with its original values"
        )
    if modality in DICOM_MODALITIES and find_image_ending(path) in (".dcm", ".ima", DICOM_FOLDER):
        word = read_dicom_modality(path)
        if word and word not in DICOM_MODALITIES[modality]:
            yield f"a DICOM series of modality {word}, but {channel} is {modality}; give that"


def find_scale_problem(grid: Grid, plan: ImagePlan) -> str | None:
    """Say when voxels, or the whole image, are far from the size of those in training; None where they are not.

    A model that sees whole images is checked by their extent, since images of many spacings are resampled to one view.
    A model that sees patches is checked by the edge of a voxel; that of the plan is the median of training. Images
    that are scaled to one size may have any, but stacks need the proportions of those in training.
    """
    unit = plan.unit
    if plan.resize is not None:
        if grid.dims == 2:
            return None
        axes = find_axis_orientation(grid.affine)[0] if plan.orientation == "RAS" else range(3)
        shape = tuple(grid.shape[axis] for axis in axes)
        if have_same_proportions([shape, plan.resize]):
            return None
        own, trained = ("×".join(map(str, each)) for each in (shape, plan.resize))
        return (
            f"the stack is {own} voxels, the model was trained on stacks with the proportions of {trained}, and "
            f"without a physical scale nothing tells how thick a slice is; {WORTHLESS_WARNING}"
        )
    grid = grid.with_unit(unit == "mm")
    # A plan of a version without units may count pixels as mm: then all are 1.
    in_mm = any(s != 1 for s in plan.spacing)
    if unit == "mm" and in_mm and not grid.physical:
        return (
            "the file does not say how large a pixel is, but the model was trained on images that do; "
            + WORTHLESS_WARNING
        )
    if plan.field == "whole" and plan.view is not None and plan.view_spacing is not None:
        size = max(n * s for n, s in zip(grid.shape, grid.spacing, strict=True))
        usual = max(n * s for n, s in zip(plan.view, plan.view_spacing, strict=True))
        problem = f"the image is {size:.4g} {unit} wide, the model was trained on images of about {usual:.4g} {unit}"
    else:
        # The geometric mean: thick slices with fine pixels count as much as cubes of the same volume.
        size, usual = (prod(s) ** (1 / len(s)) for s in (grid.spacing, plan.spacing))
        problem = f"voxels are {size:.4g} {unit} wide on average, the model was trained at {usual:.4g} {unit}"
    if 1 / MAX_SCALE_FACTOR <= size / usual <= MAX_SCALE_FACTOR:
        return None
    return f"{problem}; check the spacing in its header: {WORTHLESS_WARNING}"


def find_value_problem(
    array: Array, modality: Modality, rules: Sequence[NormalizationPlan], channel: str
) -> str | None:
    """Say why the voxel values `[planes, *space]` of one channel are not like those in training; None where they are.

    - All voxels are equal: there is no image.
    - CT where the training foreground went below 0 and no voxel here does: Hounsfield units of air and fat are
      negative, so this is a picture of a CT (0–255), or stored numbers without their offset.
    - Hardly any voxel lies in the range that held 99 % of the training foreground: other units.
    - All values lie within a twentieth of the training deviation, or colors lie twenty deviations from the training
      mean: another scale (0–1, 0–65535).
    """
    for plane, rule in zip(array, rules if modality != "mask" else (), strict=False):
        low, high = float(plane.min()), float(plane.max())
        span = f"values are {low:g} to {high:g}"
        if low == high:
            return f"all voxels are {low:g}: there is no image; expected {modality} for {channel}; give another file"
        if rule.rule != "fixed":
            continue
        if modality == "CT" and rule.lower is not None and rule.lower < 0 <= low:
            return (
                f"{span}, none below 0, but {channel} is CT in Hounsfield units, where air is -1000 (in training, 1 in "
                f"200 foreground voxels lay below {rule.lower:g}); give the CT as the scanner made it"
            )
        # Only every so many voxels: the share hardly changes, and a large volume in float64 would cost memory.
        step = max(1, plane.size // MAX_SAMPLED_VOXELS)
        sample = np.asarray(plane).reshape(-1)[::step].astype(np.float64)
        clipped = rule.lower is not None and rule.upper is not None
        if clipped and _compute_share_in_range(sample, rule) < MIN_SHARE_IN_RANGE:
            return (
                f"{span}, and fewer than 1 in 1000 voxels lie in {rule.lower:g} to {rule.upper:g}, which held 99 % of "
                f"the training foreground of {channel}; give it in the same units"
            )
        # With a clipping range the check above is enough; without one (colors), mean and deviation are compared.
        far = not clipped and abs(float(np.median(sample)) - rule.mean) > MAX_DEVIATIONS * rule.sd
        if far or high - low < rule.sd / MAX_DEVIATIONS:
            return (
                f"{span}, but in training {channel} had mean {rule.mean:g} and deviation {rule.sd:g}; give it in the "
                "same units"
            )
    return None


def _compute_share_in_range(sample: npt.NDArray[np.float64], rule: NormalizationPlan) -> float:
    """Compute the share of values that the clipping of the rule does not change."""
    low, high = (-np.inf if rule.lower is None else rule.lower, np.inf if rule.upper is None else rule.upper)
    return float(np.mean((sample >= low) & (sample <= high)))
