"""Where fresh heads start."""

from __future__ import annotations

from math import log

import pytest
import torch
from torch import Tensor, nn

from polytask.tasks.task_heads import CumulativeHead, ScoreHead, make_linear_head, make_voxel_head


def find_weight(head: nn.Module) -> Tensor:
    return next(p.data for name, p in head.named_parameters() if name.endswith("weight"))


@pytest.mark.parametrize("features", [100, 400])
def test_outputs_of_unit_features_spread_by_a_tenth(features: int) -> None:
    torch.manual_seed(0)
    for head in (make_linear_head(features, [0.0] * 200), make_voxel_head(features, 3, [0.0] * 200)):
        found = find_weight(head)
        assert float(found.std(correction=0)) == pytest.approx(0.1 / features**0.5, rel=0.02)
        assert abs(float(found.mean())) < 0.001
    many = torch.cat([find_weight(ScoreHead(features)).flatten() for _ in range(200)])
    assert float(many.std(correction=0)) == pytest.approx(0.1 / features**0.5, rel=0.02)


def test_biases_are_those_given_and_a_score_has_none() -> None:
    assert make_linear_head(3, [0.5, -2.0])(torch.zeros(1, 3)).tolist() == [[0.5, -2.0]]
    assert make_voxel_head(3, 2, [0.5, -2.0])(torch.zeros(1, 3, 1, 2)).flatten(2)[0].tolist() == [
        [0.5] * 2,
        [-2.0] * 2,
    ]
    assert ScoreHead(3)(torch.zeros(2, 3)).tolist() == [[0.0], [0.0]]


def test_cut_points_start_at_the_shares() -> None:
    cuts = CumulativeHead(4, [0.25, 0.5, 0.25]).cuts()
    assert cuts.tolist() == pytest.approx([-log(3), log(3)], rel=1e-5)


def test_cut_points_stay_finite_and_apart() -> None:
    assert CumulativeHead(4, [0.0, 1.0, 0.0]).cuts().tolist() == pytest.approx([-13.81551, 13.81551], abs=0.1)
    cuts = CumulativeHead(4, [0.5, 0.0, 0.5]).cuts().tolist()
    assert cuts == pytest.approx([0.0, 1e-4], rel=0.01, abs=1e-7)


def test_a_higher_score_passes_more_cut_points() -> None:
    head = CumulativeHead(4, [0.25, 0.5, 0.25])
    with torch.no_grad():
        find_weight(head).fill_(1.0)
    assert head(torch.ones(1, 4)).tolist()[0] == pytest.approx([4 + log(3), 4 - log(3)], rel=1e-5)
