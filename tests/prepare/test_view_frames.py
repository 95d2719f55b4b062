"""Whole views that are padded to the largest one of a batch: each sample is drawn in a frame of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from polytask.cohort.cohort import Cohort
from polytask.images.formats import write_image_file
from polytask.images.volume import Grid, Volume
from polytask.inference.sample_batch import make_sample_batch
from polytask.plan.plan_schema import (
    AugmentationPlan,
    FoldPlan,
    ImagePlan,
    ModelPlan,
    NormalizationPlan,
    Plan,
    SharedPlan,
    TrainingPlan,
)
from polytask.prepare.batch import Batch
from polytask.prepare.batch_dataset import BatchDataset
from polytask.prepare.evaluation_sample import full_sample
from polytask.prepare.schema import make_batch_schema
from polytask.prepare.store import Store
from polytask.prepare.store_builder import fill_store
from polytask.prepare.window import find_view_frame, pad_around
from tests.prepare.worlds import image_plan

SIZES = {"a": [(10, 14), (12, 9)], "b": [(17, 8), None], "c": [(24, 20), (9, 9)], "d": [(10, 13), (9, 9)]}
"""Subject → sizes of its images at two visits; a third axis has 9 slices."""
HEADER: dict[str, Any] = {
    "polytask": 1,
    "name": "sizes",
    "visits": ["first", "second"],
    "tasks": {
        "mask": {"kind": "segmentation", "image": "scan", "labels": {"a": 1}},
        "response": {"kind": "classification", "level": "subject", "classes": ["no", "yes"]},
    },
}
World = tuple[Cohort, Plan, Store]


def make_world(root: Path, dims: int) -> World:
    """A cohort of images of several sizes, without zeros, which are masks at the same time, in a store."""
    image: dict[str, Any] = {"kind": "image", "dims": dims, "channels": {"mr": "MR"}}
    root.mkdir(parents=True, exist_ok=True)
    (root / "cohort.yaml").write_text(yaml.safe_dump(HEADER | {"inputs": {"scan": image}}, sort_keys=False))
    lines, ending = ["subject,visit,day,scan.mr,mask,response"], "nii.gz" if dims == 3 else "tiff"
    for number, (subject, sizes) in enumerate(SIZES.items()):
        for visit, size in enumerate(sizes):
            name = ""
            if size is not None:
                shape = (*size, 9)[:dims]
                values = np.random.default_rng([number, visit]).integers(1, 90, (1, *shape)).astype(np.uint8)
                name = f"{subject}{visit}.{ending}"
                grid = Grid(shape, np.eye(4))
                write_image_file(root / name, Volume(values, grid))
                write_image_file(root / f"m{name}", Volume(np.ones_like(values), grid))
            mask = f"m{name}" if name else ""
            lines.append(
                f"{subject},{('first', 'second')[visit]},{30 * visit},{name},{mask},{('no', 'yes')[number % 2]}"
            )
    (root / "cases.csv").write_text("\n".join(lines) + "\n")
    cohort = Cohort.read(root)
    plan = make_padded_plan(cohort, dims)
    store = Store(root / "store")
    fill_store(store, cohort, plan, jobs=1)
    return cohort, plan, store


def make_padded_plan(cohort: Cohort, dims: int, **image: Any) -> Plan:
    values: dict[str, Any] = {
        "dims": dims,
        "channels": {"mr": "MR"},
        "orientation": "RAS" if dims == 3 else "none",
        "spacing": (1.0,) * dims,
        "view_spacing": (1.0,) * dims,
        "view": (24, 20, 12)[:dims],
        "strides": ((1,) * dims, (2,) * dims),
        "channel_flags": False,
        "padding": "batch",
    }
    fold = FoldPlan(
        normalization={"scan": {"mr": [NormalizationPlan(rule="fixed", lower=0, upper=255, mean=0, sd=1)]}},
        tables={},
        tasks={},
        why={},
    )
    shared = SharedPlan(
        max_visits=2,
        images={"scan": image_plan(**{**values, **image})},
        augmentation=AugmentationPlan(elastic=2.0, flip=(True,) * dims, probability=0.9),
        model=ModelPlan(),
        training=TrainingPlan(
            batch=2, epochs=2, steps_per_epoch=4, precision="float32", threads=1, workers=0
        ),
        why={},
    )
    return Plan(cohort=str(cohort.root), digest=cohort.digest, shared=shared, folds={0: fold})


@pytest.fixture(scope="module", params=[2, 3])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("sizes"), request.param)


def read_batches(
    world: World, batch: int, augment: bool, rank: int = 0, processes: int = 1, plan: Plan | None = None
) -> list[Batch]:
    """All four samples, in order, in batches of this size."""
    cohort, own, store = world
    plan = plan or own
    schema = make_batch_schema(cohort, plan, plan.folds[0])
    samples = cohort.samples(list(SIZES))
    dataset = BatchDataset(
        store, cohort, samples, schema, 7, batch, 4 // batch, False, augment, rank, processes
    )
    batches = [dataset[0, number] for number in range(4 // batch)]
    assert all(isinstance(b, Batch) for b in batches)
    return [b for b in batches if isinstance(b, Batch)]


def test_the_frame_of_a_sample_is_what_its_images_and_the_strides_need() -> None:
    plan = ImagePlan(**image_plan(view=(24, 20, 16)).model_dump())
    assert find_view_frame(plan, [(3, 4, 5)]) == (24, 20, 16)
    padded = plan.model_copy(update={"padding": "batch"})
    assert find_view_frame(padded, [(9, 15, 5), (12, 3, 9)]) == (12, 16, 10)
    assert find_view_frame(padded, [(40, 3, 16)]) == (24, 8, 16), (
        "windows of the view, and 4 positions at least"
    )
    assert find_view_frame(padded, []) == (8, 8, 8)


def test_what_is_padded_lies_in_the_middle() -> None:
    padded = pad_around(torch.ones(2, 3, 2, dtype=torch.bool), (4, 5))
    assert padded.dtype == torch.bool
    assert padded[0].int().tolist() == [[0, 1, 1, 0, 0]] * 3 + [[0] * 5]


def test_a_batch_is_as_large_as_its_largest_sample(world: World) -> None:
    """All visits and targets alike, and what was added is zero, unlabelled and outside the region."""
    dims = world[0].header.images["scan"].dims
    first, second = read_batches(world, 2, augment=False)
    sizes = [(18, 14, 10)[:dims], (24, 20, 10)[:dims]]
    for batch, size in zip((first, second), sizes, strict=True):
        mask = batch.targets["mask"]
        assert mask.region is not None
        assert batch.whole["scan"].shape == (2, 2, 1, *size)
        assert mask.value.shape == mask.region.shape == (2, 2, *size)
        inside = batch.whole["scan"][:, :, 0] > 0
        assert torch.equal(inside, mask.region)
        assert torch.equal(inside, mask.value > 0)
    assert mask.region[1, 0].sum() == 10 * 13 * 9 ** (dims - 2)


def test_what_is_drawn_of_a_sample_does_not_depend_on_the_samples_beside_it(world: World) -> None:
    """Noise too: the same numbers at the same voxels, in the middle of whatever frame the batch has."""
    alone, together = read_batches(world, 1, augment=True), read_batches(world, 4, augment=True)[0]
    frame = together.whole["scan"].shape[3:]
    assert len({batch.whole["scan"].shape for batch in alone}) > 1
    for number, batch in enumerate(alone):
        target, all_targets = batch.targets["mask"], together.targets["mask"]
        assert target.region is not None
        assert all_targets.region is not None
        assert torch.equal(pad_around(batch.whole["scan"], frame), together.whole["scan"][number][None])
        assert torch.equal(pad_around(target.value, frame), all_targets.value[number][None])
        assert torch.equal(pad_around(target.region, frame), all_targets.region[number][None])


def test_processes_pad_alike(world: World) -> None:
    """What a run computes does not depend on the number of processes that share a batch."""
    (whole,) = read_batches(world, 4, augment=True)
    for rank in range(2):
        (part,) = read_batches(world, 4, augment=True, rank=rank, processes=2)
        assert part.subjects == whole.subjects[rank::2]
        assert torch.equal(part.whole["scan"], whole.whole["scan"][rank::2])
        assert torch.equal(part.targets["mask"].value, whole.targets["mask"].value[rank::2])


def test_prediction_sees_a_case_as_a_batch_of_one_does(world: World) -> None:
    cohort, plan, store = world
    for batch in read_batches(world, 1, augment=False):
        (sample,) = cohort.samples(batch.subjects)
        later = make_sample_batch(full_sample(store, cohort, sample, plan, plan.folds[0]), plan, ())
        assert torch.equal(later.whole["scan"], batch.whole["scan"])


def test_a_coarser_view_beside_patches_is_padded_and_patches_stay(tmp_path: Path) -> None:
    cohort, _, _ = world = make_world(tmp_path, 2)
    plan = make_padded_plan(
        cohort, 2, field="both", view=(12, 12), view_spacing=(2.0, 2.0), patch=(8, 8), patches=2
    )
    fill_store(world[2], cohort, plan, jobs=1)
    for rank in range(2):
        (batch,) = read_batches(world, 4, True, rank, 2, plan)
        assert batch.whole["scan"].shape == (2, 2, 1, 12, 10)
        assert batch.patch["scan"].shape == (2, 2, 2, 1, 8, 8)
        assert batch.targets["mask"].value.shape == (2, 2, 2, 8, 8)
