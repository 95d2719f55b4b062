"""Checks what an edited plan says about slides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polytask.plan.plan_schema import SlidePlan


def list_slide_breaches(slide: SlidePlan) -> Iterator[tuple[str, str]]:
    """Yield (key, what is wrong and what to do) for every value of a slide input that breaks a rule."""
    if slide.most < slide.patches:
        yield "most", f"{slide.most} are fewer than the {slide.patches} of a step; store at least as many"
    if slide.features is not None:
        return
    if slide.patch is None or slide.patch < 2 ** max(1, len(slide.widths)):
        yield "patch", f"{slide.patch} pixels cannot be halved {len(slide.widths)} times; enlarge the patch"
    if not slide.widths or min(slide.widths) < 1:
        yield "widths", "expected at least one stage, each with 1 channel or more"
    if (slide.mpp is None) == (slide.downsample is None):
        yield "mpp", "set either `mpp` or `downsample`, the size of a pixel, and the other one to null"
