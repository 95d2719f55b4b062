"""Decides how strongly images are augmented: only by changes after which every label is still right."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator

from polytask.cohort.header import (
    Header,
    ImageInput,
    MaskSpec,
    Modality,
)
from polytask.cohort.importers.foreign_words import guess_modality
from polytask.kinds import find_answer_form
from polytask.kinds.class_words import list_answers
from polytask.kinds.plan_reasons import PlanReasons, join_first_names
from polytask.plan.fingerprint_records import Fingerprint
from polytask.plan.plan_schema import AugmentationPlan, ImagePlan

SIDE_WORD_PATTERN = re.compile(r"(?:^|[^a-z])(?:l|r|left|right|links|rechts|sin|dex)(?:[^a-z]|$)")
SPELLED_SIDE_PATTERN = re.compile(r"(?:^|[^a-z])(?:left|right|links|rechts)(?:[^a-z]|$)")
"""A side written as a whole word. Channels that are no masks are searched for these only: `r` may mean red."""
UPRIGHT_MODALITIES: frozenset[Modality] = frozenset({"US", "OCT"})
POOLED_TASK_SCALE = 0.05
"""An edge 5 % longer is a volume 16 % larger; more would blur grades and sizes that depend on millimeters."""


def plan_augmentation(
    header: Header,
    fingerprint: Fingerprint,
    images: dict[str, ImagePlan],
    pooled: list[str],
    why: PlanReasons,
) -> AugmentationPlan:
    """Plan the augmentation: the defaults of the schema, made weaker where they could make the answer of a task wrong.

    Args:
        images: the plans of the image inputs. pooled: names of the visit and subject tasks.
    """
    why = why.at("augmentation")
    in_file_axes = {n for n, p in images.items() if p.orientation == "none"}
    flip, flip_2d = _plan_flips(header, fingerprint, in_file_axes, why)
    scale = 0.15
    unit = "px" if any(p.unit == "px" for p in images.values()) else "mm"
    why["scale"] = (
        "lengths change by up to 15 %: there are only voxel tasks, and their masks are scaled with the image"
    )
    if pooled:
        scale = POOLED_TASK_SCALE
        why["scale"] = (
            f"lengths change by up to 5 %, no more: {join_first_names(pooled)} may depend on size in {unit}"
        )
    flat = all(p.dims == 2 for p in images.values())
    colored = any(m == "RGB" for p in images.values() for m in p.channels.values())
    upright = any(_is_upright(name, spec) for name, spec in header.images.items())
    rotate = 30.0 if flat and colored and not upright else 15.0
    why["rotate"] = (
        "up to 30 degrees: pictures have no upright direction"
        if rotate == 30
        else "up to 15 degrees: patients lie in about the same position"
    )
    why["translate"] = (
        "shifts by up to 5 % of the field of view: patients do not lie in exactly the same place"
    )
    why["elastic"] = "off: rotation and scaling do most of what it would do, and a task may ask for shape"
    why["probability"] = (
        "each kind of change is applied to half of the samples, so that the network also sees unchanged images"
    )
    for name in ("noise", "blur", "brightness", "contrast", "gamma", "low_resolution"):
        why[name] = "moderate strength, for normalized intensities: scanners and sites differ about as much"
    return AugmentationPlan(rotate=rotate, scale=scale, flip=flip, flip_2d=flip_2d)


def _plan_flips(
    header: Header, fingerprint: Fingerprint, in_file_axes: Collection[str], why: PlanReasons
) -> tuple[tuple[bool, ...], tuple[bool, ...] | None]:
    """Choose along which axes images may be flipped: those of all inputs, or those of 3D and those of 2D inputs."""
    dims = sorted({spec.dims for spec in header.images.values()}, reverse=True)
    why["flip_2d"] = "not used: `flip` holds for all images, since there are not both 2D and 3D ones"
    if not dims:
        why["flip"] = "none: the cohort has no image input"
        return (), None
    sided = list(_list_sided_names(header))
    if sided:
        why["flip"] = why["flip_2d"] = (
            f"off: {join_first_names(sided)} depend on the side (left or right); structures and channels that "
            "cohort.yaml pairs under `mirror` are swapped when an image is flipped"
        )
        return (False,) * dims[0], None
    flips, words = _find_allowed_axes(header, fingerprint, in_file_axes, dims[0])
    pairs = [f"{a}/{b}" for t in header.tasks.values() if isinstance(t, MaskSpec) for a, b in t.mirror]
    pairs += [f"{name}.{a}/{b}" for name, spec in header.images.items() for a, b in spec.mirror]
    swapped = f"; {join_first_names(pairs)} are swapped with it" if pairs else ""
    never = "Bodies are never flipped upside down or back to front"
    why["flip"] = f"{words}{swapped}. {never}"
    if len(dims) == 1:
        return flips, None
    # Images of two and of three axes are moved by different draws, so that one need not forbid the other a flip.
    flat, flat_words = _find_allowed_axes(header, fingerprint, in_file_axes, 2)
    why["flip_2d"] = f"2D images have flips of their own: {flat_words}. {never}"
    return flips, flat


def _find_allowed_axes(
    header: Header, fingerprint: Fingerprint, in_file_axes: Collection[str], dims: int
) -> tuple[tuple[bool, ...], str]:
    """Find the axes along which every input with this number of axes may be flipped; and the reason in words.

    Args:
        in_file_axes: the inputs whose axes are those of their files.
    """
    allowed = [True] * dims
    words = []
    for name, spec in header.images.items():
        if spec.dims != dims:
            continue
        modalities = set(spec.channels.values())
        if _is_upright(name, spec):
            axis = _find_column_axis(name, spec, fingerprint)
            way = "along its columns only" if axis is not None else "along no axis"
            words.append(f"{name} {way}, because the probe is always at the top")
        elif dims == 2 and modalities <= {"RGB", "other"}:
            words.append(f"{name} along every axis, because it is a picture without a left and a right side")
            continue
        else:
            # Unless set by hand, the store turns volumes to right, front, top, so that axis 0 is left–right.
            axis = _find_left_right_axis(name, fingerprint) if name in in_file_axes else 0
            words.append(
                f"{name} left–right (axis {axis})"
                if axis is not None
                else f"{name} along no axis, because its left–right axis is unknown"
            )
        allowed = [free and other == axis for other, free in enumerate(allowed)]
    return tuple(allowed), "; ".join(words)


def _is_upright(name: str, spec: ImageInput) -> bool:
    """Whether an image is taken with a probe (ultrasound, OCT), so that its depth has one direction. Color pictures of
    this kind are recognized by the name of the input or channel."""
    named = {guess_modality(name), *(guess_modality(channel) for channel in spec.channels)}
    taken = set(spec.channels.values())
    return bool(taken & UPRIGHT_MODALITIES) or (
        taken <= {"RGB", "other"} and bool(named & UPRIGHT_MODALITIES)
    )


def _find_column_axis(name: str, spec: ImageInput, fingerprint: Fingerprint) -> int | None:
    """Find the array axis along which the columns of all pictures are counted.

    None for volumes, whose depth may be any axis, and for files that do not have the orientation of a picture (rows
    toward the back, columns toward the left).
    """
    orientations = {record.orientation for record in fingerprint.images(name)}
    if spec.dims == 3 or len(orientations) != 1:
        return None
    return {"PL": 1, "LP": 0}.get(orientations.pop())


def _find_left_right_axis(name: str, fingerprint: Fingerprint) -> int | None:
    """Find the array axis that runs left–right in more than 90 % of an input's files; None if there is none."""
    axes: Counter[int | None] = Counter()
    for record in fingerprint.images(name):
        axes[next((a for a, code in enumerate(record.orientation) if code in "LR"), None)] += 1
    axis, count = axes.most_common(1)[0] if axes else (None, 0)
    return axis if count > 0.9 * axes.total() else None


def _list_sided_names(header: Header) -> Iterator[str]:
    """Yield names that say left or right: structures and channels without a mirror pair, classes and labels."""
    for name, image in header.images.items():
        mirrored = {channel for pair in image.mirror for channel in pair}
        for channel, taken in image.channels.items():
            form = SIDE_WORD_PATTERN if taken == "mask" else SPELLED_SIDE_PATTERN
            if channel not in mirrored and form.search(channel.lower()):
                yield f"{name}.{channel}"
    for task, spec in header.tasks.items():
        names: list[str] = []
        if isinstance(spec, MaskSpec):
            paired = {name for pair in spec.mirror for name in pair}
            names = [n for n in spec.names if n not in paired]
        elif find_answer_form(spec.kind) in ("class", "labels"):
            names = list_answers(spec)
        yield from (f"{task}.{n}" for n in names if SIDE_WORD_PATTERN.search(n.lower()))
