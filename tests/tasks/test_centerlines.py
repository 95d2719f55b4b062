"""Soft clDice as in MONAI, by hand, and as part of the loss: thin structures only, and nothing unknown is read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from polytask.kinds.constant_losses import find_segmentation_constant
from polytask.tasks.centerlines import (
    average_centerline_terms,
    compute_centerline_terms,
    compute_soft_skeleton,
)
from polytask.tasks.overlap_criterion import OverlapCriterion
from polytask.tasks.segmentation import Segmentation
from polytask.tasks.target import Target

G = torch.Generator().manual_seed(0)


def draw_maps(*space: int) -> Tensor:
    """Two smooth maps from 0 to 1."""
    noise = torch.nn.functional.interpolate(
        torch.rand(1, 2, *[4] * len(space), generator=G),
        size=space,
        mode=["bilinear", "trilinear"][len(space) - 2],
    )
    return noise.clamp(0, 1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("space", [(17, 20), (9, 11, 10)])
def test_it_is_that_of_monai(space: tuple[int, ...]) -> None:
    """One image and one structure: MONAI's loss sums over the structures, here each has its own."""
    cldice = pytest.importorskip("monai.losses.cldice")
    p, truth = draw_maps(*space), (draw_maps(*space) > 0.5).float()
    for iterations in (1, 3, 5):
        torch.testing.assert_close(compute_soft_skeleton(p, iterations), cldice.soft_skel(p, iterations))
    own = compute_centerline_terms(p[:, 1:], truth[:, 1:])
    torch.testing.assert_close(
        own.squeeze(), cldice.SoftclDiceLoss(iter_=5, smooth=1e-9)(p[:, 1:], truth[:, 1:])
    )


def test_a_bar_by_hand() -> None:
    """A bar of 3 × 9 voxels shrinks to its line of 7. The truth's two halves lack 3 columns in the middle.

    Its halves of 3 × 3 shrink to a voxel each. With one voxel of smoothing, the precision of the predicted line is
    (4 + 1) / (7 + 1), and the true one is wholly inside.
    """
    bar, cut = torch.zeros(1, 1, 7, 13), torch.zeros(1, 1, 7, 13)
    bar[..., 2:5, 2:11] = 1
    cut[..., 2:5, 2:5] = cut[..., 2:5, 8:11] = 1
    assert compute_soft_skeleton(bar).squeeze().nonzero().tolist() == [[3, c] for c in range(3, 10)]
    assert compute_soft_skeleton(cut).squeeze().nonzero().tolist() == [[3, 3], [3, 9]]
    precision = 5 / 8
    assert compute_centerline_terms(bar, cut).item() == pytest.approx(1 - 2 * precision / (1 + precision))
    assert compute_centerline_terms(bar, bar).item() == pytest.approx(0)
    nothing = torch.zeros_like(bar)
    assert compute_centerline_terms(nothing, bar).item() == pytest.approx(1 - 2 * (1 / 8) / (1 + 1 / 8))


def test_structures_that_do_not_occur_have_no_lines() -> None:
    p = torch.rand(2, 2, 9, 9, generator=G)
    truth = torch.zeros(2, 2, 9, 9, dtype=torch.bool)
    truth[0, 0, 4, 1:8] = True
    everywhere = torch.ones_like(truth)
    terms = average_centerline_terms(p, truth, everywhere)
    alone = compute_centerline_terms(p[:1, :1], truth[:1, :1].float())
    torch.testing.assert_close(terms, torch.tensor([alone.item(), 0.0]))


@pytest.mark.parametrize("exclusive", [True, False])
def test_the_loss_adds_it_for_thin_structures_at_the_finest_level(exclusive: bool) -> None:
    outputs = [
        torch.randn(3, 2 + exclusive, 12, 12, generator=G),
        torch.randn(3, 2 + exclusive, 6, 6, generator=G),
    ]
    if exclusive:
        value = torch.randint(0, 3, (3, 12, 12), generator=G)
    else:
        value = (torch.rand(3, 2, 12, 12, generator=G) > 0.6).long()
    known = torch.tensor([[True, True], [True, False], [False, False]])
    region = torch.rand(3, 12, 12, generator=G) > 0.2
    target = Target(value, known, region)

    def total(thin: list[int], cldice: float) -> Tensor:
        criterion = OverlapCriterion([0.3, 0.3], exclusive, 2.0, thin, cldice)
        return criterion(outputs, target, ["a", "b", "c"])[0]

    plain = total([], 0.0)
    torch.testing.assert_close(total([1], 0.0), plain)
    truth = value == 2 if exclusive else value[:, 1] > 0
    p = outputs[0].softmax(1)[:, 2] if exclusive else outputs[0][:, 1].sigmoid()
    inside = region[:1] & True
    line = average_centerline_terms(p[:1, None], truth[:1, None], inside[:, None])
    weight = 1 / (1 + 0.5)  # of the finest of two levels
    torch.testing.assert_close(total([1], 0.7) - plain, weight * 0.7 * line.sum() / 2.0, atol=1e-6, rtol=1e-4)


def test_nothing_unknown_is_read_and_lines_pull_where_they_are_broken() -> None:
    output = torch.zeros(2, 2, 11, 11)
    output[:, 1, 5, :] = 4.0
    output[:, 1, 5, 4:7] = -4.0
    output[:, 0] = 0.0
    gradients = []
    for unread in (0, 2):
        logits = output.clone().requires_grad_()
        value = torch.zeros(2, 11, 11, dtype=torch.long)
        value[:, 5] = 1
        value[1, 0] = unread
        region = torch.ones(2, 11, 11, dtype=torch.bool)
        region[1, 0] = False
        criterion = OverlapCriterion([0.1], True, 1.0, [0], 5.0)
        loss, _ = criterion(logits, Target(value, torch.ones(2, 1, dtype=torch.bool), region), ["a", "b"])
        loss.backward()
        assert logits.grad is not None
        gradients.append(logits.grad)
    torch.testing.assert_close(gradients[0], gradients[1])
    gap = gradients[0][0, 1, 5, 4:7]
    assert (gap < 0).all(), "the loss falls if the gap is closed"


def test_a_constant_answer_has_a_loss_of_about_one() -> None:
    """Also with clDice in it: the plan divides by what the constant predictor has."""
    value = torch.zeros(4, 1, 40, 40)
    value[:, 0, ::8] = 1  # an eighth of the voxels, in lines
    constant = find_segmentation_constant([0.125], False, [0], 2.0)
    task = Segmentation("v", ("v",), False, fractions=(0.125,), constant=constant, thin=("v",), cldice=2.0)
    output = torch.full((4, 1, 40, 40), float(np.log(0.125 / 0.875)))
    known = torch.ones(4, 1, dtype=torch.bool)
    loss, count = task.criterion()(output, Target(value, known), list("abcd"))
    assert (loss / count).item() == pytest.approx(1, abs=0.02)
