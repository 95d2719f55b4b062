"""Makes intensities comparable: decides one rule per plane of every channel, from the train part of a fold."""

from __future__ import annotations

from polytask.cohort.header import Modality, count_modality_planes
from polytask.images.ct_scale import describe_odd_ct_scale
from polytask.kinds.plan_reasons import PlanReasons, format_share_percent, round_number
from polytask.plan.fingerprint_records import PlaneRecord
from polytask.plan.plan_schema import NormalizationPlan
from polytask.plan.quantile_sketch import SummaryPool
from polytask.plan.rules.fold_facts import FoldFacts

CLIP_QUANTILES = (0.005, 0.995)
"""Quantiles at which intensities are clipped."""
BACKGROUND_ZERO_SHARE = 0.25
"""If the median share of zero voxels is at least this, zeros are background and do not count for mean and deviation."""
MIN_STRUCTURE_CASES = 3
"""CT intensities are measured in the known structures if at least this many cases have some, else in the body."""


def plan_normalization(basis: FoldFacts, why: PlanReasons) -> dict[str, dict[str, list[NormalizationPlan]]]:
    """Plan the normalization of a fold: image input → channel → one rule per plane."""
    return {
        name: {
            channel: _plan_channel(basis, name, channel, modality, why.at(f"normalization.{name}"))
            for channel, modality in plan.channels.items()
        }
        for name, plan in basis.images.items()
    }


def _plan_channel(
    basis: FoldFacts, name: str, channel: str, modality: Modality, why: PlanReasons
) -> list[NormalizationPlan]:
    images = [r.images[name] for r in basis.records if name in r.images]
    channel_planes = [image.planes[channel] for image in images if channel in image.planes]
    if not channel_planes:
        why[channel] = "no training image has this channel; it is filled with 0"
        return [NormalizationPlan(rule="image")] * count_modality_planes(modality)
    if modality == "mask":
        why[channel] = "a mask is read as it is: 0 outside, 1 inside"
        return [NormalizationPlan(rule="fixed", mean=0.0, sd=1.0, lower=0.0, upper=1.0)]
    if modality in ("CT", "PET", "RGB"):
        rules, words = [], ""
        for plane in range(count_modality_planes(modality)):
            rule, words = _fit_fixed_scale([planes[plane] for planes in channel_planes], modality)
            rules.append(rule)
        why[channel] = words
        return rules
    zeros = sorted(image.zeros for image in images if channel in image.planes)
    # The upper median, so that the decision rests on one real image.
    share = zeros[len(zeros) // 2]
    nonzero = share >= BACKGROUND_ZERO_SHARE
    why[channel] = (
        f"{modality} has no absolute scale: each image is scaled by its own mean and standard deviation"
        + (", measured in its voxels that are not zero" if nonzero else "")
        + f" (in the median of {len(channel_planes)} training images, {format_share_percent(share)} of voxels are 0)"
    )
    return [NormalizationPlan(rule="image", nonzero=nonzero)] * count_modality_planes(modality)


def _fit_fixed_scale(planes: list[PlaneRecord], modality: Modality) -> tuple[NormalizationPlan, str]:
    """Fit one scale for all images, for modalities whose numbers mean the same in every image; and say why."""
    structures = [p.foreground for p in planes if p.foreground is not None]
    body = [p.body for p in planes if p.body is not None]
    foreground = modality == "CT" and len(structures) >= MIN_STRUCTURE_CASES
    pool = SummaryPool(structures if foreground else body)
    where = f"{'the known structures' if foreground else 'the body'} of {pool.cases} training images"
    mean, sd = round_number(pool.mean, 5), round_number(pool.sd, 5) if pool.sd > 0 else 1.0
    scaled = f"scaled by mean {mean:g} and standard deviation {sd:g}, measured in {where}"
    if modality == "RGB":
        return NormalizationPlan(
            rule="fixed", mean=mean, sd=sd
        ), f"colors mean the same in every picture: {scaled}"
    low, high = (round_number(pool.quantile(q), 5) for q in CLIP_QUANTILES)
    if modality == "PET":
        words = (
            f"uptake: clipped to 0 and the {100 * CLIP_QUANTILES[1]:g}th percentile {high:g}, then {scaled}"
        )
        return NormalizationPlan(rule="fixed", lower=0.0, upper=high, mean=mean, sd=sd), words
    percentiles = f"{100 * CLIP_QUANTILES[0]:g}th and {100 * CLIP_QUANTILES[1]:g}th percentile"
    # Whether the numbers are Hounsfield units shows in the whole body: structures alone may lack air and bone.
    everywhere = SummaryPool(body)
    foreign = describe_odd_ct_scale(
        everywhere.quantile(CLIP_QUANTILES[0]), everywhere.quantile(CLIP_QUANTILES[1])
    )
    beginning = f"{foreign};" if foreign else "Hounsfield units:"
    words = f"{beginning} clipped to the {percentiles} ({low:g} and {high:g}), then {scaled}"
    return NormalizationPlan(rule="fixed", lower=low, upper=high, mean=mean, sd=sd), words
