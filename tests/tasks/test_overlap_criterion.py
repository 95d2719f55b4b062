from __future__ import annotations

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from polytask.tasks.overlap_criterion import (
    OverlapCriterion,
    compute_dice_terms,
    compute_exclusive_terms,
    compute_overlapping_terms,
)
from polytask.tasks.target import Target

G = torch.Generator().manual_seed(0)
SPACE = (9, 10)
ALL = torch.ones(4, 2, dtype=torch.bool)
EVERYWHERE = torch.ones(4, *SPACE, dtype=torch.bool)
FRACTIONS = torch.tensor([0.2, 0.1])


def labels() -> torch.Tensor:
    return torch.randint(0, 3, (4, *SPACE), generator=G)


@pytest.mark.filterwarnings("ignore")
def test_exclusive_is_the_mean_of_dice_and_cross_entropy_as_monai_has_them() -> None:
    losses = pytest.importorskip("monai.losses")
    output, value = torch.randn(4, 3, *SPACE, generator=G), labels()
    truth = one_hot(value, 3).movedim(-1, 1)
    dice = losses.DiceLoss(
        include_background=False, softmax=True, reduction="none", smooth_nr=0.0, smooth_dr=0.0
    )
    expected = dice(output, truth).flatten(1).mean(1) + cross_entropy(
        output, value, reduction="none"
    ).flatten(1).mean(1)
    torch.testing.assert_close(compute_exclusive_terms(output, value, ALL, EVERYWHERE, FRACTIONS), expected)


@pytest.mark.filterwarnings("ignore")
def test_overlapping_is_the_mean_of_dice_and_cross_entropy_as_monai_has_them() -> None:
    losses = pytest.importorskip("monai.losses")
    output = torch.randn(4, 2, *SPACE, generator=G)
    value = (torch.rand(4, 2, *SPACE, generator=G) < 0.3).float()
    dice = losses.DiceLoss(sigmoid=True, reduction="none", smooth_nr=0.0, smooth_dr=0.0)(output, value)
    cross = binary_cross_entropy_with_logits(output, value, reduction="none").flatten(1).mean(1)
    found = compute_overlapping_terms(output, value, ALL, EVERYWHERE, FRACTIONS)
    torch.testing.assert_close(found, dice.flatten(1).mean(1) + cross)


def test_unknown_label_is_background() -> None:
    """With label 2 unknown the loss is that of two classes, 'other' having the sum of both probabilities."""
    output, value = torch.randn(4, 3, *SPACE, generator=G), labels()
    known = torch.tensor([[True, False]]).expand(4, 2)
    merged = torch.stack([torch.logsumexp(output[:, [0, 2]], 1), output[:, 1]], 1)
    expected = compute_exclusive_terms(merged, (value == 1).long(), ALL[:, :1], EVERYWHERE, FRACTIONS[:1])
    torch.testing.assert_close(compute_exclusive_terms(output, value, known, EVERYWHERE, FRACTIONS), expected)


def test_gradient_of_an_unknown_label_only_moves_background() -> None:
    output = torch.zeros(1, 3, *SPACE, requires_grad=True)
    value = torch.zeros(1, *SPACE, dtype=torch.long)
    compute_exclusive_terms(
        output, value, torch.tensor([[True, False]]), EVERYWHERE[:1], FRACTIONS
    ).sum().backward()
    assert output.grad is not None
    assert bool((output.grad[:, 2] < 0).all()), "not pushed down as a wrong label would be"
    torch.testing.assert_close(output.grad[:, 2], output.grad[:, 0])


def test_voxels_outside_the_region_do_not_count() -> None:
    output, value = torch.randn(4, 3, *SPACE, generator=G), labels()
    region = EVERYWHERE.clone()
    region[:, 5:] = False
    found = compute_exclusive_terms(output, value, ALL, region, FRACTIONS)
    torch.testing.assert_close(
        found, compute_exclusive_terms(output[:, :, :5], value[:, :5], ALL, EVERYWHERE[:, :5], FRACTIONS)
    )
    logits, masks = output[:, 1:], torch.stack([value == 1, value == 2], 1)
    found = compute_overlapping_terms(logits, masks, ALL, region, FRACTIONS)
    torch.testing.assert_close(
        found, compute_overlapping_terms(logits[:, :, :5], masks[:, :, :5], ALL, EVERYWHERE[:, :5], FRACTIONS)
    )


def test_structure_that_is_not_there_costs_what_is_drawn() -> None:
    value, known, inside = torch.zeros(1, 1, *SPACE), ALL[:1, :1], EVERYWHERE[:1]
    constant = torch.full((1, 1, *SPACE), float(torch.logit(torch.tensor(0.2))))
    cross = float(binary_cross_entropy_with_logits(constant, value))
    found = compute_overlapping_terms(constant, value, known, inside, FRACTIONS[:1])
    assert found.item() == pytest.approx(cross + 0.5, rel=1e-5)
    assert (
        compute_overlapping_terms(torch.full_like(constant, -30), value, known, inside, FRACTIONS[:1]).item()
        < 1e-6
    )


def test_levels_weigh_one_half_a_quarter() -> None:
    criterion = OverlapCriterion([0.2, 0.1], True, 2.0)
    value = labels()
    target = Target(value, ALL, EVERYWHERE)
    outputs = [torch.randn(4, 3, *s, generator=G) for s in ((9, 10), (5, 5), (3, 3))]
    found, count = criterion(outputs, target, ["a"] * 4)
    rows, columns = [0, 1, 3, 5, 7], [0, 2, 4, 6, 8]
    expected = 4 * compute_exclusive_terms(outputs[0], value, ALL, EVERYWHERE, FRACTIONS).sum()
    middle = value[:, rows][:, :, columns]
    expected = (
        expected
        + 2 * compute_exclusive_terms(outputs[1], middle, ALL, EVERYWHERE[:, :5, :5], FRACTIONS).sum()
    )
    last = value[:, [0, 3, 6]][:, :, [0, 3, 6]]
    expected = (
        expected + compute_exclusive_terms(outputs[2], last, ALL, EVERYWHERE[:, :3, :3], FRACTIONS).sum()
    )
    assert count == 4
    torch.testing.assert_close(found, expected / 7 / 2.0)


def test_image_without_a_voxel_that_counts_is_absent() -> None:
    criterion = OverlapCriterion([0.2, 0.1], True, 1.0)
    region = EVERYWHERE.clone()
    region[1:] = False
    target = Target(labels(), ALL, region)
    assert criterion.count(target, ["a"] * 4) == 1
    assert criterion(torch.zeros(4, 3, *SPACE), target, ["a"] * 4)[1] == 1


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_region_that_no_coarse_level_shows_costs_nothing_there(exclusive: bool) -> None:
    criterion = OverlapCriterion([0.2, 0.1], exclusive, 1.0)
    region = torch.zeros(1, *SPACE, dtype=torch.bool)
    region[0, 1, 1] = True
    value = torch.zeros(1, *SPACE) if exclusive else torch.zeros(1, 2, *SPACE)
    outputs = [torch.zeros(1, 2 + exclusive, *s, requires_grad=True) for s in (SPACE, (3, 3))]
    alone, _ = criterion(outputs[:1], Target(value, ALL[:1], region), ["a"])
    both, _ = criterion(outputs, Target(value, ALL[:1], region), ["a"])
    assert both.item() == pytest.approx(alone.item() * 2 / 3)
    assert all(g.isfinite().all() for g in torch.autograd.grad(both, outputs))


def test_dice_of_sums_by_hand() -> None:
    def find(overlap: float, predicted: float, truth: float, expected: float) -> float:
        return float(compute_dice_terms(*(torch.tensor(x) for x in (overlap, predicted, truth, expected))))

    assert find(2.0, 3.0, 5.0, 4.0) == pytest.approx(0.5)
    assert find(0.5, 1.0, 1.0, 4.0) == pytest.approx(0.5)
    assert find(0.0, 3.0, 0.0, 1.0) == pytest.approx(0.75)
    assert find(0.0, 0.0, 0.0, 0.0) == 0.0
    assert find(0.0, 5e-7, 0.0, 0.0) == pytest.approx(0.5)


def test_a_loss_of_one_voxel_and_one_structure_by_hand() -> None:
    """Probability ½ of a structure that is there: cross-entropy ln 2, and 1 − 2 · ½ / (½ + 1) of Dice."""
    value, known, inside = torch.ones(1, 1, 1, 1), ALL[:1, :1], EVERYWHERE[:1, :1, :1]
    found = compute_overlapping_terms(torch.zeros(1, 1, 1, 1), value, known, inside, torch.tensor([0.5]))
    assert found.item() == pytest.approx(0.693147 + 1 / 3)
    found = compute_exclusive_terms(torch.zeros(1, 2, 1, 1), value[:, 0], known, inside, torch.tensor([0.5]))
    assert found.item() == pytest.approx(0.693147 + 1 / 3)


def test_an_image_counts_where_any_structure_is_known() -> None:
    criterion = OverlapCriterion([0.2, 0.1], False, 0.5)
    known = torch.tensor([[True, False], [False, False], [False, True], [True, True]])
    target = Target(torch.zeros(4, 2, *SPACE), known)
    output = torch.full((4, 2, *SPACE), -40.0)
    assert criterion.count(target, ["a"] * 4) == 3
    value, count = criterion(output, target, ["a"] * 4)
    assert count == 3
    assert value.item() == pytest.approx(0.0, abs=1e-5)
    nothing = Target(torch.zeros(4, 2, *SPACE), known & False)
    assert [float(x) for x in criterion(output, nothing, ["a"] * 4)] == [0.0, 0.0]
