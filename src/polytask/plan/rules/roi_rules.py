"""Decides whether visit and subject tasks read crops at full resolution, where findings are too small for the view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil, prod
from statistics import median

from polytask.cohort.header import MaskSpec
from polytask.cohort.read_visits import list_read_visits
from polytask.errors import PolytaskError
from polytask.kinds.plan_reasons import PlanReasons, format_sizes, round_number
from polytask.plan.fingerprint_records import ImageRecord
from polytask.plan.plan_schema import ImagePlan
from polytask.plan.roi_plan import (
    RoiPlan,
    choose_fold_roi,
    compute_crop_size,
    is_grid,
    list_roi_breaches,
)
from polytask.plan.rules.fold_facts import FoldFacts
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
    """Decide on crops of every image; return the plans with `roi`, and the cost of a sample with them.

    How large findings are is an answer, which a fold may read of its training subjects alone. So this part says which
    crops a fold reads if its findings are small, and reserves what they cost; `plan_finding_sizes` measures.
    """
    planned: dict[str, ImagePlan] = {}
    for name, image in images.items():
        before = step
        planned[name], reason = image, _explain_no_crops(basis, name, image)
        if not reason:
            chosen, step, reason = _fit_crops(basis, name, image, step)
            planned[name] = image.model_copy(update={"roi": chosen})
        why[f"images.{name}.roi"] = reason
        roi = why.choose_value(f"images.{name}.roi", planned[name].roi)
        if roi != planned[name].roi:
            planned[name] = image.model_copy(update={"roi": roi})
            for key, problem in list_roi_breaches(planned[name]):
                raise PolytaskError(f"--set {why.quote_settings(f'images.{name}.roi')}: {key}: {problem}")
            step = _add_crops(basis, name, planned[name], before)
    return planned, step


def _explain_no_crops(basis: SharedFacts, name: str, image: ImagePlan) -> str:
    """Explain why no fold reads crops of an image; empty where a fold may read them."""
    if not basis.pooled:
        return "none: no visit or subject task reads this image"
    if image.field == "whole":
        return "none: visit and subject tasks see the image as finely as it is stored"
    if not any(isinstance(basis.cohort.header.tasks[t], MaskSpec) for t in basis.voxel_tasks_by_image[name]):
        return (
            "none: no task with masks on this image says how large findings are; `roi: {attention: 8}` reads the 8 "
            "crops at `spacing` that the attention of the tasks chooses"
        )
    return ""


def plan_finding_sizes(basis: FoldFacts, why: PlanReasons) -> dict[str, dict[str, float]]:
    """Measure the findings of the fold's training subjects on the images whose crops are for small ones."""
    sizes: dict[str, dict[str, float]] = {}
    why["finding_sizes"] = "of the images whose crops are for small findings (`roi.below`)"
    for name, image in basis.images.items():
        if image.roi is None or image.roi.below is None:
            continue
        edges = sizes[name] = dict(_measure_findings(basis, name, image))
        roi = choose_fold_roi(image, edges)
        if not edges:
            why[f"finding_sizes.{name}"] = (
                "no training subject has a mask with a structure, so no crops are read"
            )
            continue
        task = min(edges, key=lambda t: edges[t])
        where = f"also read crops where the prediction of {task} has its largest parts"
        why[f"finding_sizes.{name}"] = (
            f"the findings of {task} have a median edge of {edges[task]:.2g} voxels in the whole view, in the training "
            f"subjects of this fold (the box around the largest structure; limit {image.roi.below:g}), so visit and "
            "subject tasks " + ("read no crops" if roi is None else where)
        )
    return sizes


def _measure_findings(basis: FoldFacts, name: str, image: ImagePlan) -> Iterator[tuple[str, float]]:
    """Yield (task with masks, median mean edge of its largest structure in voxels of the whole view).

    The largest structure of each task counts: a small organ beside large ones is no small finding.
    """
    assert image.view_spacing is not None
    for task, spec in basis.cohort.header.tasks.items():
        if not isinstance(spec, MaskSpec) or spec.image != name:
            continue
        edges: dict[str, list[float]] = {}
        for case in basis.records:
            if name not in case.images or task not in case.voxels:
                continue
            own = measure_pixel(case.images[name], image)
            axes = list(range(image.dims))
            if image.dims == 3 and image.orientation == "none":
                axes = [axis for axis, _ in case.images[name].list_file_axes()]
            for structure, measured in case.voxels[task].sizes.items():
                size = [measured[axis] for axis in axes]
                # Edges are measured in mm; where the plan counts pixels, they become pixels first.
                ratios = [s / o / v for s, o, v in zip(size, own, image.view_spacing, strict=True)]
                edges.setdefault(structure, []).append(prod(ratios) ** (1 / image.dims))
        if edges:
            yield task, round_number(max(median(values) for values in edges.values()), 4)


def measure_pixel(record: ImageRecord, image: ImagePlan) -> tuple[float, ...]:
    """Measure one pixel of the plan in the unit of the fingerprint: 1 where both count mm."""
    if image.unit == "mm":
        return (1.0,) * image.dims
    step = compute_resize_step(record.shape, image.resize) if image.resize else 1.0
    return tuple(edge * step for edge in record.spacing)


def _fit_crops(
    basis: SharedFacts, name: str, image: ImagePlan, step: StepCost
) -> tuple[RoiPlan | None, StepCost, str]:
    """Find how many crops fit into memory; return them, the cost of a sample with them, and the reason."""
    below = SMALL_FINDING_VIEW_VOXELS
    size = compute_crop_size(image.model_copy(update={"roi": RoiPlan(below=below)}))
    visits, places = _count_crop_visits(basis), _count_places(image, size)
    for count in range(MAX_PLANNED_CROPS, 0, -1):
        seen = min(places, PLACES_PER_CROP * count)
        roi = RoiPlan(below=below, crops=count, places=seen, size=size)
        cost = _add_crops(basis, name, image.model_copy(update={"roi": roi}), step)
        if cost.fits(find_smallest_batch(basis), basis.machine):
            flops = (cost.flops - step.flops) / visits
            return (
                roi,
                cost,
                f"visit and subject tasks see this image in a coarser view: in folds whose findings have a median edge "
                f"below {below:g} voxels there (`finding_sizes` of the fold), they also read {count} crops of "
                f"{format_sizes(size)} at `spacing`, on the parts of the mask that the network predicts; a training "
                f"step looks at {seen} of up to {places} places, which adds {flops / 1e9:.3g} to the "
                f"{step.flops / len(basis.read_visits) / 1e9:.3g} GFLOP of a visit",
            )
    return None, step, f"none: crops of {format_sizes(size)} beside the view do not fit into memory"


def _add_crops(basis: SharedFacts, name: str, image: ImagePlan, step: StepCost) -> StepCost:
    """Add to the cost of a sample what the crops of one image cost, if it has any."""
    roi = image.roi
    if roi is None or image.field != "both":
        return step
    spec = basis.cohort.header.images[name]
    planes = spec.planes + (len(spec.channels) if image.channel_flags else 0)
    sizes = (image.widths, image.blocks, image.strides, image.kernels or ())
    topology = Topology(image.dims, planes, *sizes, basis.model.encoder or "residual")
    size = compute_crop_size(image)
    seen = 0
    if is_grid(image):
        seen = _count_places(image, size) if roi.places is None else roi.places
    encoder = count_encoder_flops(topology, size)
    masked = roi.task is not None or roi.below is not None
    looked = encoder + (count_decoder_flops(topology, size) if masked else 0.0)
    # With the surroundings every crop is masked, and read twice.
    read, masks = (2 * roi.count, roi.count) if roi.surroundings else (roi.count, 0)
    kept = read * count_activation_bytes(topology, size, 0, basis.machine.precision, basis.machine.device)
    kept += 4 * (seen + 2 * masks) * planes * prod(size)
    flops = PASSES_PER_STEP * read * encoder + (seen + masks) * looked
    visits = _count_crop_visits(basis)
    return step.add_cost(StepCost(visits * flops, visits * kept, 0.0))


def _count_crop_visits(basis: SharedFacts) -> int:
    """Count the visits of a sample at which crops are read: those of some visit or subject task."""
    if not basis.cohort.samples_are_subjects:
        return 1
    return len(list_read_visits(basis.cohort.header, basis.pooled))


def _count_places(image: ImagePlan, size: tuple[int, ...]) -> int:
    """Count the places of the grid of the largest image, whose view is `image.view`."""
    assert image.view is not None
    assert image.view_spacing is not None
    full = [n * v / s for n, v, s in zip(image.view, image.view_spacing, image.spacing, strict=True)]
    return prod(1 if n <= c else 1 + ceil((n - c) / (TILE_SPAN * c)) for n, c in zip(full, size, strict=True))
