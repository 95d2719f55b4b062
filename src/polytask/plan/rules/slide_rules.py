"""Plans slide inputs: how a slide is cut into patches, how many a step reads, how colors or features are scaled."""

from __future__ import annotations

from math import ceil, floor, log2, prod

import numpy as np

from polytask.cohort.header import SlideInput
from polytask.errors import PolytaskError
from polytask.images.slide_patches import MIN_TISSUE_SHARE
from polytask.kinds.plan_reasons import PlanReasons, format_share_percent, round_number
from polytask.plan.fingerprint_records import SlideRecord
from polytask.plan.machine import GIB, SMALLEST_BATCH_SECONDS
from polytask.plan.plan_schema import NormalizationPlan, SlidePlan
from polytask.plan.rules.fold_facts import FoldFacts
from polytask.plan.rules.network_cost import (
    PASSES_PER_STEP,
    Topology,
    count_activation_bytes,
    count_encoder_flops,
    count_parameter_bytes,
)
from polytask.plan.rules.shared_facts import SharedFacts
from polytask.plan.rules.step_cost import StepCost, find_smallest_batch

DRAWN_PATCH_RANGE = {"cpu": (8, 64), "gpu": (16, 256)}
"""Smallest and largest number of pixel patches that a step draws from a slide."""
MAX_DRAWN_FEATURES = 1024
"""Largest number of feature rows that a step draws from a bag."""
MAX_STORED_PATCHES = {"cpu": 1024, "gpu": 4096}
"""Largest number of pixel patches stored of a slide; every evaluation encodes all of them."""
MAX_STORED_FEATURES = 50_000
"""Largest number of feature rows stored of a bag."""
FIRST_PATCH_WIDTH = {"cpu": 16, "gpu": 32}
"""Channels of the first stage of the patch encoder."""
MAX_PATCH_STAGES = 4
"""Largest number of stages of the patch encoder."""
MIN_PATCH_MAP_EDGE = 4
"""The deepest map of a patch keeps at least this many positions along its edge."""


def plan_slides(basis: SharedFacts, why: PlanReasons) -> tuple[dict[str, SlidePlan], StepCost]:
    """Plan every slide input; return the plans, and what the slides of one sample cost."""
    plans: dict[str, SlidePlan] = {}
    total = StepCost(0.0, 0.0, 0.0)
    slides = basis.cohort.header.slides
    if not slides:
        why["slides"] = "the header has no slide input"
    for name, spec in slides.items():
        records = basis.fingerprint.slides(name)
        if not records:
            raise PolytaskError(
                f"{basis.cohort.table}: input {name} has no slide outside the test part; fill its column or remove "
                "the input from cohort.yaml"
            )
        branch = why.at(f"slides.{name}")
        plan, step = (_plan_feature_bag if spec.features else _plan_pixel_patches)(
            basis, spec, records, branch
        )
        plans[name], total = plan, total.add_cost(step)
    return plans, total


def plan_slide_scales(basis: FoldFacts, why: PlanReasons) -> dict[str, list[NormalizationPlan]]:
    """Plan the scaling in a fold: slide input → one rule each for red, green and blue, or one for all features."""
    slides = basis.cohort.header.slides
    if not slides:
        why["slides"] = "the header has no slide input"
    return {name: _plan_slide_scale(basis, name, spec, why.at("slides")) for name, spec in slides.items()}


def _plan_feature_bag(
    basis: SharedFacts, spec: SlideInput, records: list[SlideRecord], why: PlanReasons
) -> tuple[SlidePlan, StepCost]:
    counts = [r.patches for r in records]
    most = why.choose_value("most", MAX_STORED_FEATURES)
    patches = why.choose_value("patches", min(MAX_DRAWN_FEATURES, max(counts), most))
    why["features"] = "as the header says; a linear layer brings them to the width of the other features"
    for key in ("patch", "mpp", "downsample", "tissue", "widths"):
        why[key] = "not used: the patches of a bag of features were cut and encoded before"
    why["patches"] = _explain_drawn_patches(
        counts, f"up to {MAX_DRAWN_FEATURES} rows of features cost very little"
    )
    why["most"] = _explain_stored_patches(counts, most)
    plan = SlidePlan(
        features=spec.features, patch=None, mpp=None, downsample=None, tissue=0.0, patches=patches, most=most,
        widths=(),
    )  # fmt: skip
    return plan, StepCost(0.0, 4.0 * len(basis.read_visits) * patches * (spec.features or 0), 0.0)


def _plan_pixel_patches(
    basis: SharedFacts, spec: SlideInput, records: list[SlideRecord], why: PlanReasons
) -> tuple[SlidePlan, StepCost]:
    machine = basis.machine
    kind = "cpu" if machine.device == "cpu" else "gpu"
    patch = why.choose_value("patch", spec.patch)
    mpp, downsample = (
        why.choose_value("mpp", spec.resolution),
        why.choose_value("downsample", spec.downsample),
    )
    tissue = why.choose_value("tissue", MIN_TISSUE_SHARE)
    counts = [record.count_patches(tissue) for record in records]
    # The fingerprint counted patches of the header's size; a slide has fewer of larger ones.
    edges = ((spec.patch, patch), (spec.resolution, mpp), (spec.downsample, downsample))
    ratio = prod(old / new for old, new in edges if old and new)
    if ratio != 1:
        counts = [max(1, ceil(count * ratio**2)) for count in counts]
    elif why.is_fixed("tissue") and not min(counts):
        raise PolytaskError(
            f"--set {why.quote_settings('tissue')}: {counts.count(0)} of {len(counts)} slides have no patch with so "
            "much tissue; choose a smaller share"
        )
    stages = max(1, min(MAX_PATCH_STAGES, floor(log2(patch / MIN_PATCH_MAP_EDGE))))
    widths = why.choose_value("widths", tuple(FIRST_PATCH_WIDTH[kind] * 2**i for i in range(stages)))
    stages = len(widths)
    t = Topology(2, 3, widths, (1,) * stages, ((2, 2),) * stages)
    flops = count_encoder_flops(t, (patch, patch))
    kept = count_activation_bytes(t, (patch, patch), 0, machine.precision, machine.device)
    bags = find_smallest_batch(basis) * len(basis.read_visits) * len(basis.cohort.header.slides)
    seconds = SMALLEST_BATCH_SECONDS[machine.device]
    least, largest = DRAWN_PATCH_RANGE[kind]
    # Slides get only half of the memory budget, because image inputs may share the step with them.
    fit = min(seconds * machine.rounded_speed / PASSES_PER_STEP / flops, machine.budget / 2 / kept) / bags
    most = why.choose_value("most", MAX_STORED_PATCHES[kind])
    patches = why.choose_value("patches", min(max(least, min(largest, int(fit))), max(counts), most))
    mpps = sorted({f"{r.mpp:.3g}" for r in records if r.mpp is not None})
    measured = f"{len(records)} slides, up to {max(r.size for r in records)[0]} pixels wide, " + (
        f"with {' and '.join(mpps[:3])} µm per pixel" if mpps else "which do not say how large a pixel is"
    )
    why["features"] = "none: the header names whole slides, so the model encodes their patches itself"
    why["patch"] = f"edge of a patch in pixels, as the header says; {measured}"
    why["mpp"] = (
        "µm per pixel of a patch, "
        + ("as the header says" if spec.mpp else "the default: cell nuclei can still be seen")
        if spec.resolution
        else "not used: the header gives `downsample`, in pixels of the slide"
    )
    why["downsample"] = (
        "as the header says" if spec.downsample else "not used: it follows from `mpp` for each slide"
    )
    why["tissue"] = (
        f"a patch is used if at least {format_share_percent(tissue)} of it is tissue (color saturation above "
        "Otsu's threshold)"
    )
    why["patches"] = _explain_drawn_patches(
        counts,
        f"a patch costs {flops / 1e9:.2g} GFLOP in a forward pass, and the {bags} slides of a step share {seconds:g} s "
        f"and {machine.budget / 2 / GIB:.3g} GiB on {machine}; at least {least}, at most {largest}"
        + ("; their number follows from that of the patches in the header" if ratio != 1 else ""),
    )
    why["most"] = _explain_stored_patches(counts, most)
    why["widths"] = (
        f"channels of each stage; every stage halves the edge of a patch, {patch // 2**stages} positions remain"
    )
    plan = SlidePlan(
        features=None, patch=patch, mpp=mpp, downsample=downsample, tissue=tissue,
        patches=patches, most=most, widths=widths,
    )  # fmt: skip
    each = len(basis.read_visits) * patches
    return plan, StepCost(PASSES_PER_STEP * each * flops, each * kept, count_parameter_bytes(t, 0))


def _explain_drawn_patches(counts: list[int], reason: str) -> str:
    middle = int(np.median(counts))
    return (
        f"drawn at random from each slide in each step; slides have {min(counts)} to {max(counts)} patches (median "
        f"{middle}); {reason}"
    )


def _explain_stored_patches(counts: list[int], most: int) -> str:
    over = sum(c > most for c in counts)
    return (
        f"largest number stored per slide, spread evenly over it, and read for a prediction; {over} of {len(counts)} "
        "slides have more"
    )


def _plan_slide_scale(
    basis: FoldFacts, name: str, spec: SlideInput, why: PlanReasons
) -> list[NormalizationPlan]:
    records = [r.slides[name] for r in basis.records if name in r.slides]
    planes = 3 if spec.features is None else 1
    if not records:
        why[name] = "no training subject has this slide, so there is nothing to scale"
        return [NormalizationPlan(rule="fixed")] * planes
    # Every slide has the same weight, however many patches it has. The total variance is E[x²] − (E[x])², and may come
    # out slightly below 0 by rounding.
    means = np.array([r.mean for r in records])
    squares = np.array([r.variance for r in records]) + means**2
    mean = means.mean(axis=0)
    sd = np.sqrt(np.maximum(squares.mean(axis=0) - mean**2, 0.0))
    # The fingerprint measured the colors of these patches, whatever the plan's `tissue`.
    colors = f"red, green and blue in patches with {format_share_percent(MIN_TISSUE_SHARE)} tissue or more"
    what = colors if spec.features is None else "all features"
    share = len(records) / max(1, len(basis.records))
    words = ", ".join(f"{m:.4g} ± {s:.3g}" for m, s in zip(mean, sd, strict=True))
    why[name] = (
        f"scaled by mean ± standard deviation of {what} of {len(records)} training slides "
        f"({format_share_percent(share)} of the cases), every slide with the same weight: {words}"
    )
    return [
        NormalizationPlan(
            rule="fixed", mean=round_number(float(m), 5), sd=round_number(float(s), 5) if s > 0 else 1.0
        )
        for m, s in zip(mean, sd, strict=True)
    ]
