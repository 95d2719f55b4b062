from __future__ import annotations

import numpy as np
import pytest

from polytask.evaluation.field_errors import ERROR_SHARES, choose_error, find_error_quantiles
from polytask.evaluation.voxel_truth import VoxelTruth
from polytask.images.volume import Grid, Volume

GRID = Grid((10, 7), np.eye(4))


def test_each_error_is_the_smallest_that_its_share_of_the_voxels_keeps() -> None:
    random = np.random.default_rng(0)
    answer, value = (random.normal(size=GRID.shape).astype(np.float32) for _ in range(2))
    region = random.uniform(size=GRID.shape) < 0.6
    value[~region] = np.nan
    truth = VoxelTruth(value, np.array([True]), region)
    quantiles = find_error_quantiles(Volume(answer[None], GRID), truth)
    errors = np.sort(np.abs(answer - value)[region])
    for share, error in zip(ERROR_SHARES, quantiles, strict=True):
        assert (errors <= error).mean() >= share - 1e-9
        assert (errors < error).mean() < share
    assert quantiles[-1] == errors[-1]


def test_without_a_voxel_that_counts_there_is_no_error() -> None:
    answer, value = Volume(np.zeros((1, 10, 7), np.float32), GRID), np.ones((10, 7), np.float32)
    nowhere = VoxelTruth(value, np.array([True]), np.zeros((10, 7), bool))
    unknown = VoxelTruth(value, np.array([False]), None)
    assert find_error_quantiles(answer, nowhere) == find_error_quantiles(answer, unknown) == ()


@pytest.mark.parametrize(
    ("share", "column"), [(0.5, 0), (0.9, 40), (1 - 0.1, 40), (0.901, 41), (1.0, 50), (0.1, 0)]
)
def test_a_share_between_two_is_the_larger(share: float, column: int) -> None:
    table = np.arange(51.0)[None] * np.ones((3, 1))
    assert choose_error(table, share).tolist() == [column] * 3
