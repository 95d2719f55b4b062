"""The attention on slices: unmirrored, and only where the view holds the image."""

from __future__ import annotations

import pytest
import torch

from polytask.inference.attention_places import place_own_slices
from polytask.prepare.window import pad_around


@pytest.mark.parametrize("size", [5, 6, 7, 8])
@pytest.mark.parametrize("mirrored", [False, True])
def test_weights_lie_where_padding_puts_the_slices(size: int, mirrored: bool) -> None:
    """A view is padded after it is mirrored, so an odd gap is on the same side both times."""
    slices = torch.arange(1.0, 6)
    view = pad_around(slices.flip(0) if mirrored else slices, (size,))
    placed = place_own_slices(torch.stack([view, view]), (5, 0), mirrored)
    assert placed[0][~placed[0].isnan()].tolist() == slices.tolist()
    assert bool(placed[1].isnan().all()), "there is no image"
    assert torch.equal(placed[0].isnan(), pad_around(torch.ones(5), (size,)) == 0)


def test_a_subject_has_a_row_for_each_visit() -> None:
    weights = torch.rand(1, 2, 6)
    placed = place_own_slices(weights, (6, 4), False)
    assert torch.equal(placed[0, 0], weights[0, 0])
    assert torch.equal(placed[0, 1, 1:5], weights[0, 1, 1:5])
    assert bool(placed[0, 1, [0, 5]].isnan().all())
