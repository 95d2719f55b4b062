"""Mirroring a sample before and after the network."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from polytask.inference.sample_batch import mirror_axes, select_mirror_axes
from polytask.plan.plan_schema import AugmentationPlan


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 2)])
def test_spatial_axes_are_mirrored_and_channels_stay(axes: tuple[int, ...]) -> None:
    array = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    mirrored = mirror_axes(array, axes)
    assert mirrored[0, 0, 0, 0] == array[0][tuple(-1 if a in axes else 0 for a in range(3))]
    assert mirrored[1, 0, 0, 0] == array[1][tuple(-1 if a in axes else 0 for a in range(3))]
    assert torch.equal(mirror_axes(mirrored, axes), array)


def test_without_axes_the_array_is_returned() -> None:
    array = torch.zeros(1, 2, 2)
    assert mirror_axes(array, ()) is array


def test_each_image_is_mirrored_along_its_own_axes_only() -> None:
    """A photo that may be flipped along both axes beside a volume that may be flipped left to right."""
    shared = SimpleNamespace(
        images={"photo": SimpleNamespace(dims=2), "scan": SimpleNamespace(dims=3)},
        augmentation=AugmentationPlan(flip=(True, False, False), flip_2d=(False, True)),
    )
    plan: Any = SimpleNamespace(shared=shared)
    assert select_mirror_axes(plan, "photo", (0, 1, 2)) == (1,)
    assert select_mirror_axes(plan, "scan", (0, 1, 2)) == (0,)
    shared.augmentation = AugmentationPlan(flip=(True, True, True))
    assert select_mirror_axes(plan, "photo", (0, 2)) == (0,), "a picture has no third axis"
