"""The masks of structures that stand beside a dose."""

from __future__ import annotations

import pytest
import torch

from polytask.tasks.target import Target
from polytask.training.structure_masks import unpack_structure_masks


@pytest.mark.parametrize("patched", [False, True])
def test_every_label_of_a_label_map_becomes_a_mask_of_its_own(patched: bool) -> None:
    value = torch.tensor([[0, 1, 2], [3, 3, 1]], dtype=torch.uint8)
    value = value.view(1, 2, 1, 3) if patched else value.view(1, 2, 3)
    known = torch.tensor([[[True, True, True], [True, True, False]]])
    masks = unpack_structure_masks(Target(value, known, torch.ones_like(value, dtype=torch.bool)), patched)
    expected = [[[0, 1, 0], [0, 0, 1], [0, 0, 0]], [[0, 0, 1], [0, 0, 0], [0, 0, 0]]]
    assert masks.shape == ((2, 1, 3, 3) if patched else (2, 3, 3))
    assert masks.view(2, 3, 3).int().tolist() == expected, (
        "the third structure of the second visit is unknown"
    )


@pytest.mark.parametrize("patched", [False, True])
def test_overlapping_masks_stay_as_they_are_where_they_are_known(patched: bool) -> None:
    value = torch.tensor([[[0, 1, 1], [1, 1, 0]]], dtype=torch.uint8)
    value = value.view(1, 1, 1, 2, 3) if patched else value.view(1, 1, 2, 3)
    region = torch.ones((1, 1, 1, 3) if patched else (1, 1, 3), dtype=torch.bool)
    masks = unpack_structure_masks(Target(value, torch.tensor([[[True, False]]]), region), patched)
    assert masks.view(2, 3).int().tolist() == [[0, 1, 1], [0, 0, 0]]
