"""A map by hand: a number per voxel of either sign."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polytask.tasks.target import Target
from polytask.tasks.voxel_map import VoxelMap


def test_answers_may_be_negative_and_start_at_the_center() -> None:
    task = VoxelMap("m", center=-4.0, scale=2.0)
    output = torch.tensor([[[-1.0, 0.0, 3.0]]])
    assert task.decode(output)["value"].tolist() == [[-6.0, -4.0, 2.0]]
    head = task.head(3, 2)
    untrained = task.decode(head(torch.zeros(1, 3, 2, 2)))["value"]
    torch.testing.assert_close(untrained, torch.full((1, 2, 2), -4.0))


def test_the_loss_is_the_mean_distance_in_scales() -> None:
    task = VoxelMap("m", center=-4.0, scale=2.0, constant=0.5)
    value = torch.tensor([[[-6.0, -4.0], [0.0, float("nan")]]])
    region = torch.tensor([[[True, True], [True, False]]])
    target = Target(value, torch.ones(1, 1, dtype=torch.bool), region)
    # |−6 + 4|, 0 and |0 + 4|, divided by the scale 2, have the mean 1; the constant is 0.5.
    total, count = task.criterion()(torch.zeros(1, 1, 2, 2), target, ["a"])
    assert (float(total), float(count)) == (pytest.approx(2.0), 1.0)


def test_metrics_count_the_region_alone() -> None:
    task = VoxelMap("m", deviation=4.0)
    answer, value = np.array([[1.0, -1.0, 9.0]]), np.array([[0.0, 2.0, np.nan]])
    region = np.array([[True, True, False]])
    metrics = task.case_metrics(answer, value, np.ones(1, bool), region, (1.0, 1.0))
    assert metrics == {"n": 1.0, "mae": 2.0, "rmse": pytest.approx(np.sqrt(5))}
    assert task.skill(metrics) == 0.5
    assert task.case_metrics(answer, value, np.zeros(1, bool), region, (1.0, 1.0))["n"] == 0
    assert np.isnan(VoxelMap("m", deviation=0.0).skill(metrics))
