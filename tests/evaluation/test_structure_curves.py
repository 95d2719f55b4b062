from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch

from polytask.cohort.header import SegmentationSpec
from polytask.evaluation.structure_curves import (
    THRESHOLDS,
    StructureCurve,
    count_steps,
    count_structure_curves,
    describe_curve,
    parse_curve,
    widen_mask,
)
from polytask.evaluation.voxel_truth import VoxelTruth
from polytask.images.volume import Grid
from polytask.plain import make_plain
from polytask.predict.mask_presence import measure_presence
from polytask.predict.source_grid import GriddedPrediction
from polytask.tasks.task import Task

GRID = Grid((6, 5), np.diag([2.0, 2.0, 1.0, 1.0]))
HALF = Grid((12, 10), np.diag([1.0, 1.0, 1.0, 1.0]))


def make_task(exclusive: bool) -> Task:
    return cast(
        Task, SimpleNamespace(kind="segmentation", structures=("a", "b"), exclusive=exclusive, unit="mm")
    )


def test_thresholds_fall_from_one_half_in_even_steps_of_the_logit() -> None:
    logits = np.log(THRESHOLDS / (1 - THRESHOLDS.astype(np.float64)))
    assert logits == pytest.approx(-0.25 * np.arange(65), abs=1e-5)


def test_counts_are_those_of_every_threshold() -> None:
    random = np.random.default_rng(0)
    p = (1 / (1 + np.exp(random.normal(6, 8, 500)))).astype(np.float32)
    # A probability that equals a threshold reaches it.
    p[:65] = THRESHOLDS
    assert count_steps(p).tolist() == [(p >= t).sum() for t in THRESHOLDS]
    assert count_steps(np.zeros(7, np.float32)).sum() == 0


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_curve_counts_the_masks_that_prediction_would_widen(exclusive: bool) -> None:
    """Computed on a grid of twice the spacing: counts are of voxels of the file."""
    random = np.random.default_rng(1)
    logits = torch.from_numpy(random.normal(-2, 3, (1, 2 + exclusive, *GRID.shape)).astype(np.float32))
    p = logits.softmax(1) if exclusive else logits.sigmoid()
    spec = SegmentationSpec(
        kind="segmentation",
        image="scan",
        **({"labels": {"a": 1, "b": 2}} if exclusive else {"structures": ["a", "b"]}),
    )
    computed, task = GriddedPrediction(spec, {"p": p}, GRID, HALF), make_task(exclusive)
    answer, seen = computed.restore_answer(), measure_presence(task, {"p": p})
    value = random.integers(0, 3, HALF.shape) if exclusive else random.integers(0, 2, (2, *HALF.shape))
    region = random.uniform(size=HALF.shape) < 0.7
    truth = VoxelTruth(value.astype(np.uint8), np.array([True, True]), region)
    curves = count_structure_curves(task, computed, answer, seen, truth)
    assert list(curves) == ["a", "b"]
    for k, name in enumerate(curves):
        curve, plane = curves[name], computed.restore_structure(k)
        drawn = answer.array[0] == k + 1 if exclusive else answer.array[k] > 0
        true = (value == k + 1 if exclusive else value[k] > 0) & region
        assert curve.true == true.sum()
        for step in (0, 10, 40, 64):
            mask = widen_mask(plane, drawn, step)
            assert (curve.hits[step], curve.voxels[step]) == ((mask & true).sum(), (mask & region).sum())
        assert curve.voxels[0] >= (drawn & region).sum()
        assert (curve.size, curve.whole) == (0.01, False)
        stored = p[0, k + exclusive].numpy()
        inside = p[0].argmax(0).numpy() == k + 1 if exclusive else stored >= 0.5
        assert curve.drawn == pytest.approx(4 * inside.sum())
        assert curve.presence == pytest.approx(
            stored[inside].sum() if inside.any() else stored.max(), rel=1e-5
        )
    assert widen_mask(plane, drawn, None).all()
    unknown = VoxelTruth(truth.value, np.array([False, True]), None)
    (only,) = count_structure_curves(task, computed, answer, seen, unknown).items()
    assert (only[0], only[1].whole) == ("b", True)


def test_without_any_mask_presence_is_the_largest_probability() -> None:
    p = torch.full((1, 3, 4, 4), 0.1)
    p[0, 0], p[0, 1, 2, 2] = 0.8, 0.15
    seen = measure_presence(make_task(True), {"p": p})
    assert seen["voxels"].tolist() == [[0.0, 0.0]]
    assert seen["presence"][0] == pytest.approx([0.15, 0.1])


def test_curves_are_read_as_they_were_written_and_others_are_refused() -> None:
    p = np.linspace(0, 1, 40, dtype=np.float32)
    steps = tuple(count_steps(p).tolist())
    for curve in (
        StructureCurve(40, steps, steps, 20.0, 0.7, 0.1, True),
        StructureCurve(0, (), steps, 0.0, 0.2, 0.1, False),
    ):
        assert parse_curve(make_plain(describe_curve(curve))) == curve
    entry = describe_curve(curve)
    for change in ({"voxels": "1 2"}, {"true": 3}, {"hits": "1"}, {"voxels": "x"}):
        with pytest.raises(ValueError, match=r"steps|invalid literal"):
            parse_curve(entry | change)
