"""Differences: which pairs count, and that the size of a change is not lost."""

from __future__ import annotations

import torch
from torch import nn

from polytask.model.visit_fusion.difference import VisitDifference
from tests.model.visit_fusion.maps import CHANNELS, days_of, known_of, maps_of


def test_two_visits_give_earlier_minus_later() -> None:
    """Against the formula of RP-Net, written out for one subject."""
    torch.manual_seed(0)
    fusion, maps = VisitDifference(CHANNELS, 2, 5, 2), maps_of(2, 1)
    parts = []
    for level, block in zip(maps, fusion.blocks, strict=True):
        change = level[:, 0] - level[:, 1]
        weight = block[0].weight  # type: ignore[index, union-attr]
        convolved = nn.functional.conv2d(change, weight, padding=1)  # type: ignore[arg-type]
        act = nn.functional.leaky_relu(nn.functional.group_norm(convolved, 8), 0.01)
        parts += [act.mean((2, 3)), act.amax((2, 3)), change.mean((2, 3)), change.abs().mean((2, 3))]
    row = torch.cat([*parts, torch.tensor([[1.0, 73.05 / 365.25]])], 1)
    answer = fusion(maps, known_of("11"), torch.tensor([[10.0, 83.05]]))
    torch.testing.assert_close(answer, fusion.pairs.layer(row))


def test_a_pair_counts_when_both_its_visits_are_there() -> None:
    torch.manual_seed(0)
    fusion = VisitDifference(CHANNELS, 3, 5, 2)
    maps, day = maps_of(2, 5, 3), days_of(5, 3)
    answer = fusion(maps, known_of("111", "110", "011", "101", "000"), day)
    bias = fusion.pairs.layer.bias
    none = [bool(torch.equal(row, bias)) for row in answer]
    assert none == [False, False, False, True, True]


def test_a_pair_is_the_same_whatever_else_is_known() -> None:
    """The answer is a sum over pairs."""
    torch.manual_seed(0)
    fusion = VisitDifference(CHANNELS, 3, 5, 2)
    maps = [m[:1].expand(3, *m.shape[1:]) for m in maps_of(2, 1, 3)]
    both, first, second = fusion(maps, known_of("111", "110", "011"), days_of(1, 3).expand(3, -1))
    torch.testing.assert_close(both, first + second - fusion.pairs.layer.bias)


def test_a_small_change_is_not_a_large_one() -> None:
    """The norm makes all changes equally large; a tenth of one and the whole still differ by what stands beside it."""
    torch.manual_seed(0)
    fusion = VisitDifference(CHANNELS, 2, 5, 2).eval()
    bias, known = fusion.pairs.layer.bias, known_of("11")
    whole = [torch.stack([m, torch.zeros_like(m)], 1) for m in (m[:, 0] for m in maps_of(2, 1))]
    day = torch.zeros(1, 2)
    small, large, nothing = (fusion([f * m for m in whole], known, day) for f in (0.1, 1.0, 0.0))
    assert (small - large).norm() > 0.05 * (large - bias).norm()
    assert (nothing - large).norm() > (small - large).norm()
