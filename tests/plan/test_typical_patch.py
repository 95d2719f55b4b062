"""A view that fits the largest case, or a patch that fits the typical one."""

from __future__ import annotations

import pytest

from polytask.plan.plan_schema import ImagePlan
from polytask.plan.planner import make_plan
from tests.plan.test_field import MASKS, PLAIN, scan
from tests.plan.worlds import cohort_of, graded, header, one_fold, prints

HIPPOCAMPI = [(36, 50, 35)] * 8 + [(45, 59, 47)] * 4
"""Sizes like those of the Decathlon's hippocampi: the larger ones make a view of 48×64×48."""


def plan_scan(sizes: list[tuple[int, ...]], tasks: dict[str, object]) -> tuple[ImagePlan, dict[str, str]]:
    cohort = cohort_of(header(tasks=tasks), graded(len(sizes)))
    plan = make_plan(cohort, prints(sizes), one_fold(cohort))
    return scan(plan), plan.shared.why


def test_a_view_that_is_mostly_padding_becomes_a_patch_of_the_typical_case() -> None:
    """63,000 of 147,456 voxels: 57 % of the view would be padding."""
    image, why = plan_scan(HIPPOCAMPI, MASKS)
    assert (image.field, image.patch, image.view, image.patches) == ("patch", (40, 56, 40), None, 1)
    assert "57 % of a whole view, 48×64×48 voxels" in why["images.scan.field"]
    assert "the median case, 36×50×35 voxels" in why["images.scan.patch"]
    assert image.foreground > 0


def test_a_task_that_needs_the_whole_image_keeps_the_view() -> None:
    image, _ = plan_scan(HIPPOCAMPI, MASKS | PLAIN)
    assert (image.field, image.view) == ("whole", (48, 64, 48))


@pytest.mark.parametrize(("edge", "field"), [(42, "whole"), (40, "patch")])
def test_padding_of_thirty_percent_is_the_limit(edge: int, field: str) -> None:
    """The largest case makes a view of 48×48×48; 42×42×48 fill 77 % of it, and 40×40×48 fill 69 %."""
    image, _ = plan_scan([(edge, edge, 48)] * 9 + [(48, 48, 48)] * 3, MASKS)
    assert image.field == field


def test_cases_of_one_size_are_seen_as_a_whole() -> None:
    assert plan_scan([(33, 33, 33)] * 12, MASKS)[0].field == "whole", "padding that a patch would have too"
