"""Predictions come back on the source grid: never flipped, never shifted."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import torch

from polytask.cohort.header import DoseSpec, SegmentationSpec
from polytask.images.geometry import crop_volume, make_spaced_grid, orient_to_ras, resample_volume
from polytask.images.volume import Grid, Volume
from polytask.predict.source_grid import (
    map_to_label_values,
    order_after_mirroring,
    restore_probabilities,
    restore_to_source_grid,
)

LABELS = SegmentationSpec(kind="segmentation", image="scan", labels={"a": 3, "b": 7})
STRUCTURES = SegmentationSpec(kind="segmentation", image="scan", structures=["a", "b"])


def source(axes: tuple[int, ...], signs: tuple[int, ...]) -> tuple[np.ndarray, Grid]:
    """An asymmetric label map (a long bar, a small box) in some orientation with anisotropic voxels."""
    labels = np.zeros((30, 26, 22), np.uint8)
    labels[4:25, 5:10, 6:12] = 1
    labels[6:12, 14:22, 12:19] = 2
    labels = labels.transpose(axes)[tuple(slice(None, None, s) for s in signs)]
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, axes] * np.array(signs) * np.array([1.0, 1.5, 2.0])
    affine[:3, 3] = (-20, 11, 5)
    return labels, Grid(labels.shape, affine)


def one_hot(labels: np.ndarray) -> np.ndarray:
    return np.stack([labels == k for k in range(3)]).astype(np.float32)


@pytest.mark.parametrize("axes", list(permutations(range(3))))
@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)))
def test_there_and_back_in_every_orientation(axes: tuple[int, ...], signs: tuple[int, ...]) -> None:
    labels, grid = source(axes, signs)
    turned = orient_to_ras(Volume(one_hot(labels), grid))
    lower = [2, 1, 3]
    kept = crop_volume(turned, lower, [n - 2 for n in turned.grid.shape])
    stored = resample_volume(kept, make_spaced_grid(kept.grid, [0.8, 0.8, 0.8]), 1)
    p = torch.from_numpy(stored.array)[None]
    exclusive = restore_to_source_grid(LABELS, {"p": p}, stored.grid, grid)
    assert exclusive.grid.is_same_grid(grid)
    assert (exclusive.array[0] == labels).mean() > 0.97
    for k in (1, 2):
        a, b = exclusive.array[0] == k, labels == k
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.9
    overlapping = restore_to_source_grid(STRUCTURES, {"p": p[:, 1:]}, stored.grid, grid)
    assert overlapping.array.shape == (2, *labels.shape)
    dose = restore_to_source_grid(
        DoseSpec(kind="dose", image="scan"), {"value": p[:, 1] * 60}, stored.grid, grid
    ).array[0]
    places = np.argwhere(np.ones_like(labels))
    ours = (places * dose.reshape(-1, 1)).sum(0) / dose.sum()
    assert np.abs(ours - np.argwhere(labels == 1).mean(0)).max() < 0.1
    assert dose[labels == 2].max() < 20 < np.median(dose[labels == 1])


def test_outside_the_crop_is_background() -> None:
    labels, grid = source((0, 1, 2), (1, 1, 1))
    kept = crop_volume(Volume(one_hot(labels), grid), (4, 5, 6), (12, 10, 12))
    p = torch.ones(1, 3, *kept.grid.shape)
    p[:, 0] = 0
    answer = restore_to_source_grid(LABELS, {"p": p}, kept.grid, grid).array[0]
    assert answer[0, 0, 0] == 0
    assert (answer[4:12, 5:10, 6:12] > 0).all()
    chances = restore_probabilities(LABELS, {"p": p}, kept.grid, grid).array
    assert chances[0, 0, 0, 0] == 1
    assert chances[1, 0, 0, 0] == 0


def test_label_values_are_those_of_the_header() -> None:
    assert map_to_label_values(LABELS, np.array([0, 1, 2])).tolist() == [0, 3, 7]


def test_planes_change_places_with_left_and_right() -> None:
    pair = {"kind": "segmentation", "image": "scan", "mirror": [("a", "c")]}
    exclusive = SegmentationSpec.model_validate(pair | {"labels": {"a": 3, "b": 7, "c": 9}})
    overlapping = SegmentationSpec.model_validate(pair | {"structures": ["a", "b", "c"]})
    assert order_after_mirroring(exclusive) == [0, 3, 2, 1]
    assert order_after_mirroring(overlapping) == [2, 1, 0]
    assert order_after_mirroring(STRUCTURES) == [0, 1]
