"""Checks what an edited plan says about slides."""

from __future__ import annotations

from collections.abc import Iterator

from polytask.plan.plan_schema import SlidePlan


def list_slide_breaches(slide: SlidePlan) -> Iterator[tuple[str, str]]:
    """Yield (key, what is wrong and what to do) for every value of a slide input that breaks a rule."""
    if slide.patches < 1:
        yield "patches", "at least 1 a slide"
    if slide.most < slide.patches:
        yield "most", f"{slide.most} are fewer than the {slide.patches} of a step; store as many at least"
    if slide.features is not None:
        if slide.features < 1:
            yield "features", f"{slide.features} is no width; it is at least 1"
        return
    if slide.patch is None or slide.patch < 2 ** max(1, len(slide.widths)):
        yield "patch", f"{slide.patch} pixels cannot be halved {len(slide.widths)} times; enlarge the patch"
    if not slide.widths or min(slide.widths) < 1:
        yield "widths", "at least one stage, each with 1 channel or more"
    if (slide.mpp is None) == (slide.downsample is None):
        yield "mpp", "either `mpp` or `downsample` says how fine a patch is; set the other to null"
    elif min(slide.mpp or 1.0, slide.downsample or 1.0) <= 0:
        yield "mpp", "how fine a patch is must be above 0"
    if not 0 <= slide.tissue <= 1:
        yield "tissue", f"{slide.tissue:g} is no share; it is between 0 and 1"
