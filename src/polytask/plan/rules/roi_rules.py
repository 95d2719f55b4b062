"""Decides whether visit and subject tasks read crops at full resolution, where findings are too small for the view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil, prod
from statistics import median

from polytask.cohort.header import MaskSpec
from polytask.errors import PolytaskError
from polytask.kinds.plan_reasons import PlanReasons, format_sizes
from polytask.plan.fingerprint_records import ImageRecord
from polytask.plan.plan_schema import ImagePlan
from polytask.plan.roi_plan import RoiPlan, compute_crop_size, is_grid, list_roi_breaches
from polytask.plan.rules.image_geometry import compute_resize_step
from polytask.plan.rules.network_cost import (
    PASSES_PER_STEP,
    Topology,
    count_activation_bytes,
    count_decoder_flops,
    count_encoder_flops,
)
from polytask.plan.rules.shared_facts import SharedFacts
from polytask.plan.rules.step_cost import StepCost, find_smallest_batch

MAX_PLANNED_CROPS, PLACES_PER_CROP = 2, 4
"""Most crops that the plan asks for, and how many places a training step looks at for each of them."""
SMALL_FINDING_VIEW_VOXELS = 8.0
"""A finding that is smaller in the whole view (mean edge of its box, in voxels) is read in crops."""
TILE_SPAN = 0.75
"""Share of a tile by which the next tile of the grid is farther on."""


def plan_crops(
    basis: SharedFacts, images: Mapping[str, ImagePlan], step: StepCost, why: PlanReasons
) -> tuple[dict[str, ImagePlan], StepCost]:
    """Decide on crops of every image; return the plans with `roi`, and the cost of a sample with them."""
    planned: dict[str, ImagePlan] = {}
    for name, image in images.items():
        before = step
        task, reason = find_small_findings(basis, name, image)
        planned[name] = image
        if task:
            chosen, step, more = _fit_crops(basis, name, image, task, step)
            planned[name], reason = image.model_copy(update={"roi": chosen}), f"{reason}{more}"
        why[f"images.{name}.roi"] = reason
        roi = why.choose_value(f"images.{name}.roi", planned[name].roi)
        if roi != planned[name].roi:
            planned[name] = image.model_copy(update={"roi": roi})
            for key, problem in list_roi_breaches(planned[name]):
                raise PolytaskError(f"--set {why.quote_settings(f'images.{name}.roi')}: {key}: {problem}")
            step = _add_crops(basis, name, planned[name], before)
    return planned, step


def find_small_findings(basis: SharedFacts, name: str, image: ImagePlan) -> tuple[str, str]:
    """Find the task whose findings are too small for the whole view of an image, if any; with the reason.

    The largest structure of each task with masks counts: a small organ beside large ones is no small finding.
    """
    if not basis.pooled:
        return "", "none: no visit or subject task reads this image"
    if image.field == "whole":
        return "", "none: visit and subject tasks see the image as finely as it is stored"
    edges = dict(_measure_findings(basis, name, image))
    if not edges:
        return "", (
            "none: no task with masks on this image says how large findings are; `roi: {attention: 8}` reads the 8 "
            "crops at `spacing` that the attention of the tasks chooses"
        )
    task = min(edges, key=lambda t: edges[t])
    size = (
        f"the findings of {task} have a median edge of {edges[task]:.2g} voxels in the whole view (the box around the "
        f"largest part; limit {SMALL_FINDING_VIEW_VOXELS:g})"
    )
    if edges[task] >= SMALL_FINDING_VIEW_VOXELS:
        return "", f"none: {size}"
    return task, size


def _measure_findings(basis: SharedFacts, name: str, image: ImagePlan) -> Iterator[tuple[str, float]]:
    """Yield (task with masks, median mean edge of its largest structure in voxels of the whole view)."""
    assert image.view_spacing is not None
    for task in basis.voxel_tasks_by_image[name]:
        if not isinstance(basis.cohort.header.tasks[task], MaskSpec):
            continue
        edges: dict[str, list[float]] = {}
        for case in basis.fingerprint.cases.values():
            if name not in case.images or task not in case.voxels:
                continue
            own = measure_pixel(case.images[name], image)
            for structure, size in case.voxels[task].sizes.items():
                # Edges are measured in mm; where the plan counts pixels, they become pixels first.
                ratios = [s / o / v for s, o, v in zip(size, own, image.view_spacing, strict=True)]
                edges.setdefault(structure, []).append(prod(ratios) ** (1 / image.dims))
        if edges:
            yield task, max(median(values) for values in edges.values())


def measure_pixel(record: ImageRecord, image: ImagePlan) -> tuple[float, ...]:
    """Measure one pixel of the plan in the unit of the fingerprint: 1 where both count mm."""
    if image.unit == "mm":
        return (1.0,) * image.dims
    step = compute_resize_step(record.shape, image.resize) if image.resize else 1.0
    return tuple(edge * step for edge in record.spacing)


def _fit_crops(
    basis: SharedFacts, name: str, image: ImagePlan, task: str, step: StepCost
) -> tuple[RoiPlan | None, StepCost, str]:
    """Find how many crops fit into memory; return them, the cost of a sample with them, and the rest of the reason."""
    size = compute_crop_size(image.model_copy(update={"roi": RoiPlan(task=task)}))
    visits, places = len(basis.read_visits), _count_places(image, size)
    for count in range(MAX_PLANNED_CROPS, 0, -1):
        seen = min(places, PLACES_PER_CROP * count)
        roi = RoiPlan(task=task, crops=count, places=seen, size=size)
        cost = _add_crops(basis, name, image.model_copy(update={"roi": roi}), step)
        if cost.fits(find_smallest_batch(basis), basis.machine):
            flops = (cost.flops - step.flops) / visits
            return (
                roi,
                cost,
                f", so visit and subject tasks also read {count} crops of {format_sizes(size)} at `spacing`, where the "
                f"prediction of {task} is the surest; a training step looks at {seen} of up to {places} places, which "
                f"adds {flops / 1e9:.3g} to the {step.flops / visits / 1e9:.3g} GFLOP of a visit",
            )
    return None, step, f", but crops of {format_sizes(size)} beside the view do not fit into memory: none"


def _add_crops(basis: SharedFacts, name: str, image: ImagePlan, step: StepCost) -> StepCost:
    """Add to the cost of a sample what the crops of one image cost, if it has any."""
    roi = image.roi
    if roi is None or image.field != "both":
        return step
    spec = basis.cohort.header.images[name]
    planes = spec.planes + (len(spec.channels) if image.channel_flags else 0)
    topology = Topology(image.dims, planes, image.widths, image.blocks, image.strides, image.kernels or ())
    size = compute_crop_size(image)
    seen = 0
    if is_grid(image):
        seen = _count_places(image, size) if roi.places is None else roi.places
    encoder = count_encoder_flops(topology, size)
    looked = encoder + (count_decoder_flops(topology, size) if roi.task else 0.0)
    kept = roi.count * count_activation_bytes(
        topology, size, 0, basis.machine.precision, basis.machine.device
    )
    kept += 4 * seen * planes * prod(size)
    flops = PASSES_PER_STEP * roi.count * encoder + seen * looked
    return step.add_cost(StepCost(len(basis.read_visits) * flops, len(basis.read_visits) * kept, 0.0))


def _count_places(image: ImagePlan, size: tuple[int, ...]) -> int:
    """Count the places of the grid of the largest image, whose view is `image.view`."""
    assert image.view is not None
    assert image.view_spacing is not None
    full = [n * v / s for n, v, s in zip(image.view, image.view_spacing, image.spacing, strict=True)]
    return prod(1 if n <= c else 1 + ceil((n - c) / (TILE_SPAN * c)) for n, c in zip(full, size, strict=True))
