"""The tiles of an image, and the crops of a batch in training and at prediction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polytask.inference.sample_batch import make_sample_batch
from polytask.plan.plan_schema import AugmentationPlan
from polytask.plan.roi_plan import RoiPlan
from polytask.prepare.evaluation_sample import full_sample
from polytask.prepare.sample_reader import SampleDraw, join_batches, read_sample
from polytask.prepare.sample_table import SampleTable
from polytask.prepare.schema import make_batch_schema
from polytask.prepare.tiles import cut_tiles, list_tile_centers, stack_tiles
from tests.prepare.test_sample_reader import World
from tests.prepare.worlds import BOTH, filled, make_plan


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder: Path = tmp_path_factory.mktemp("crops")
    return filled(folder, **BOTH, roi=RoiPlan(attention=3, size=(8, 8, 8)))


@given(st.tuples(*[st.integers(4, 60)] * 2), st.tuples(*[st.integers(4, 24)] * 2), st.randoms())
def test_a_finding_of_a_quarter_of_a_tile_lies_whole_in_one(
    shape: tuple[int, int], size: tuple[int, int], random: object
) -> None:
    finding = [min(s // 4, n) for s, n in zip(size, shape, strict=True)]
    at = [random.randint(0, n - f) for n, f in zip(shape, finding, strict=True)]  # type: ignore[attr-defined]
    image = torch.zeros(1, *shape)
    image[:, at[0] : at[0] + finding[0], at[1] : at[1] + finding[1]] = 1
    tiles = cut_tiles(image, list_tile_centers(shape, size), size)
    assert tiles.flatten(1).sum(1).max() == finding[0] * finding[1]


def test_tiles_cover_the_image_and_keep_their_places() -> None:
    image = torch.arange(30.0 * 7).reshape(1, 30, 7)
    tiles = cut_tiles(image, list_tile_centers((30, 7), (12, 8)), (12, 8))
    assert tiles.shape == (3, 1, 12, 8), "starts 0, 9 and 18; the short axis is padded"
    assert torch.equal(tiles[1, 0, :, :7], image[0, 9:21])
    assert set(tiles.unique().tolist()) >= set(range(210))


def test_visits_of_different_size_are_padded_with_unknown_places() -> None:
    values, known = stack_tiles([None, torch.ones(3, 2, 4), torch.ones(1, 2, 4)], 2, (4,))
    assert values.shape == (3, 3, 2, 4)
    assert known.tolist() == [[False] * 3, [True] * 3, [True, False, False]]
    assert values.sum() == known.sum() * 8


def test_training_without_augmentation_reads_the_crops_of_prediction(world: World) -> None:
    cohort, plan, store = world
    schema = make_batch_schema(cohort, plan, plan.folds[0])
    for subject in ("s1", "s2", "s3"):
        (sample,) = cohort.samples([subject])
        table = SampleTable(cohort, [sample], schema)
        read = read_sample(store, table[0], schema, SampleDraw(("run", subject), False))
        later = make_sample_batch(full_sample(store, cohort, sample, plan, plan.folds[0]), plan, ())
        assert torch.equal(read.crop_known["scan"], later.crop_known["scan"])
        torch.testing.assert_close(read.crops["scan"], later.crops["scan"])
    assert read.crops["scan"].shape[2] == 4 * 3 * 3, "22, 18 and 16 voxels in tiles of 8"
    assert read.crop_known["scan"].any(2).tolist() == [[False, True]], "s3 has only the second visit"


def test_a_mirrored_pass_reads_mirrored_crops(world: World) -> None:
    cohort, plan, store = world
    sample = full_sample(store, cohort, cohort.samples(["s1"])[0], plan, plan.folds[0])
    plain, mirrored = (make_sample_batch(sample, plan, axes).crops["scan"][0, 0] for axes in ((), (0,)))
    # The grid of 22 voxels is symmetric (0, 5, 9, 14): the last tile, mirrored, is the first one.
    torch.testing.assert_close(mirrored[0].flip(1), plain[-9])


def test_crops_move_with_the_subject_and_are_the_same_again(world: World) -> None:
    cohort, plan, store = world
    moving = make_plan(cohort, plan.shared.images["scan"], AugmentationPlan(rotate=20, probability=1.0))
    schema = make_batch_schema(cohort, moving, moving.folds[0])
    table = SampleTable(cohort, cohort.samples(["s1"]), schema)
    first, second, other = (
        read_sample(store, table[0], schema, SampleDraw(("run", number), True)).crops["scan"]
        for number in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_a_training_step_looks_at_a_few_places_and_a_new_case_everywhere(world: World) -> None:
    cohort, plan, store = world
    roi = RoiPlan(task="tumour", crops=1, places=2, size=(8, 8, 8))
    image = plan.shared.images["scan"].model_copy(update={"roi": roi})
    few = make_plan(cohort, image, AugmentationPlan(flip=(), probability=0.0))
    schema = make_batch_schema(cohort, few, few.folds[0])
    sample = cohort.samples(["s1"])[0]
    table = SampleTable(cohort, [sample], schema)
    first, again, other = (
        read_sample(store, table[0], schema, SampleDraw(("run", number), True)).crops["scan"]
        for number in (1, 1, 2)
    )
    assert first.shape[2] == 2
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    everywhere = make_sample_batch(full_sample(store, cohort, sample, few, few.folds[0]), few, ())
    assert everywhere.crops["scan"].shape[2] == 36
    positions = set()
    for number in range(8):
        crops = read_sample(store, table[0], schema, SampleDraw(("run", number), True)).crops["scan"]
        # The plane `fl` shows the tumour alone; everything else in it is zero before it is normalized.
        shown = crops[0, 0, :, 1].flatten(1).std(1) > 0
        assert shown.any(), "one place has a part of the tumour"
        positions.add(str(crops[0, 0, int(shown.long().argmax()), 1].numpy().tobytes()))
    assert len(positions) > 4, "shifted at random: never the truth alone"


def test_only_pooled_tasks_need_crops_and_batches_pad_them(world: World) -> None:
    cohort, plan, store = world
    voxel = make_batch_schema(cohort, plan, plan.folds[0], ["tumour"])
    assert voxel.crops == ()
    schema = make_batch_schema(cohort, plan, plan.folds[0], ["grade"])
    table = SampleTable(cohort, cohort.samples(["s1", "s3"]), schema)
    parts = [read_sample(store, table[n], schema, SampleDraw(("run", n), False)) for n in range(2)]
    joined = join_batches(parts)
    assert np.array_equal(joined.crop_known["scan"].sum(2).numpy(), [[36, 36], [0, 36]])
