"""Slides in store and batch: the bytes of the slide, drawn as a function of seeds, padded with unknown."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from polytask.cohort.cohort import Cohort
from polytask.cohort.splits import Splits, make_splits
from polytask.errors import PolytaskError
from polytask.images.slide_patches import find_tissue_patches, stream_patches
from polytask.images.slides import open_slide
from polytask.inference.sample_batch import make_sample_batch
from polytask.plan.fingerprint import make_fingerprint
from polytask.plan.plan_schema import AugmentationPlan, Plan, SlidePlan
from polytask.plan.plan_settings import set_values
from polytask.plan.planner import make_plan
from polytask.predict.in_memory_store import InMemoryStore
from polytask.prepare.bag_tensors import draw_bag_patches, join_padded, recolor_stain
from polytask.prepare.batch import Batch
from polytask.prepare.evaluation_sample import full_sample
from polytask.prepare.loader import Loader
from polytask.prepare.slide_bags import PreparedBag, make_patch_spec
from polytask.prepare.store import Store
from polytask.prepare.store_builder import fill_store
from tests.images.slide_cohorts import MISSING, SUBJECTS, features, write_cohort
from tests.plan.worlds import LAPTOP

World = tuple[Cohort, Plan, Store, Splits]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("slides")
    cohort = Cohort.read(write_cohort(root / "cohort"))
    splits = make_splits(cohort, folds=2, seed=0)
    plan = make_plan(cohort, make_fingerprint(cohort), splits, machine=LAPTOP)
    plan = set_values(plan, ["slides.biopsy.patches=3", "slides.bag.patches=8", "training.workers=0"])
    store = Store(root / "work" / "store")
    fill_store(store, cohort, plan, jobs=2)
    return cohort, plan, store, splits


def loader(world: World, **options: object) -> Loader:
    cohort, plan, store, splits = world
    values = {"part": "train", "seed": 4, "batch": 4, "splits": splits, **options}
    return Loader(store, cohort, plan, 0, **values)  # type: ignore[arg-type]


def first(world: World, **options: object) -> Batch:
    with loader(world, **options) as found:
        return next(iter(found.batches(0)))


def test_the_store_holds_the_pixels_of_the_slide(world: World) -> None:
    cohort, plan, store, _ = world
    bag = store.case("s01@first").bag("biopsy")
    assert bag is not None
    cut = make_patch_spec(plan.shared.slides["biopsy"])
    with open_slide(cohort.path("s01.tif")) as slide:
        where = find_tissue_patches(slide, cut)
        pixels = np.stack(list(stream_patches(slide, where, cut))).transpose(0, 3, 1, 2)
    assert bag.patches.dtype == np.uint8
    assert np.array_equal(bag.patches, pixels)
    assert np.array_equal(bag.coords, where)
    assert (bag.extent, bag.of) == (64, 3)
    assert isinstance(bag.patches, np.memmap)


def test_a_bag_of_a_subject_stands_at_each_visit(world: World) -> None:
    for visit in ("first", "second"):
        bag = world[2].case(f"s04@{visit}").bag("bag")
        assert bag is not None
        assert np.array_equal(bag.patches, features(4))
        assert bag.coords[3].tolist() == [600, 700]
    assert world[2].case("s05@first").bag("bag") is None
    assert world[2].case("s03@first").bag("biopsy") is None
    assert world[2].case("s01@second").bag("biopsy") is None


def test_maps_never_write_to_the_store(world: World) -> None:
    bag = world[2].case("s02@first").bag("biopsy")
    assert bag is not None
    before = bag.patches.copy()
    bag.patches[:] = 7
    again = world[2].case("s02@first").bag("biopsy")
    assert again is not None
    assert np.array_equal(again.patches, before)


def test_a_batch_holds_drawn_patches_and_what_is_known(world: World) -> None:
    batch = first(world)
    assert batch.bags["biopsy"].shape == (4, 2, 3, 3, 32, 32)
    assert batch.bags["biopsy"].dtype == torch.uint8
    assert batch.bags["bag"].shape == (4, 2, 8, 5)
    known = batch.bag_known["biopsy"]
    for row, subject in enumerate(batch.subjects):
        stored = world[2].case(f"{subject}@first").bag("biopsy")
        count = 0 if stored is None else min(3, len(stored.patches))
        assert known[row].sum(-1).tolist() == [count, 0]
        assert batch.bag_known["bag"][row].sum(-1).tolist() == [0 if subject == "s05" else 8] * 2
        assert (subject in MISSING) == (count == 0)
    assert not batch.bags["biopsy"][~known].any()


def test_features_are_rows_of_the_bag(world: World) -> None:
    batch = first(world)
    rows = {tuple(r) for s in batch.subjects for r in features(SUBJECTS.index(s)).tolist()}
    found = [tuple(r) for r in batch.bags["bag"][batch.bag_known["bag"]].tolist()]
    assert set(found) <= rows
    assert len(set(found[:8])) == 8  # without replacement


def test_draws_are_functions_of_seed_and_epoch(world: World) -> None:
    one, two, other = (first(world, seed=s) for s in (4, 4, 5))
    assert all(torch.equal(one.bags[n], two.bags[n]) for n in one.bags)
    with loader(world) as found:
        later = next(iter(found.batches(1)))
    kept = {s: one.bags["bag"][i] for i, s in enumerate(one.subjects)}
    assert any(
        not torch.equal(kept[s], later.bags["bag"][i]) for i, s in enumerate(later.subjects) if s in kept
    )
    assert one.subjects != other.subjects or not torch.equal(one.bags["bag"], other.bags["bag"])


def test_workers_change_nothing(world: World) -> None:
    here, there = first(world, workers=0), first(world, workers=1)
    assert here.subjects == there.subjects
    assert all(torch.equal(here.bags[n], there.bags[n]) for n in here.bags)


def test_without_augmentation_patches_are_the_stored_ones(world: World) -> None:
    batch = first(world, augment=False)
    for row, subject in enumerate(batch.subjects):
        stored = world[2].case(f"{subject}@first").bag("biopsy")
        if stored is not None:
            whole = {p.tobytes() for p in stored.patches}
            known = batch.bag_known["biopsy"][row, 0]
            assert all(p.numpy().tobytes() in whole for p in batch.bags["biopsy"][row, 0][known])


PIXELS = SlidePlan(
    features=None, patch=4, mpp=1.0, downsample=None, tissue=0.5, patches=6, most=9, widths=(4,)
)


def bag(count: int) -> PreparedBag:
    patches = np.random.default_rng(count).integers(0, 256, (count, 3, 4, 4)).astype(np.uint8)
    return PreparedBag(patches, np.zeros((count, 2), np.int32), 4, count)


def test_patches_are_turned_and_nothing_else() -> None:
    still = AugmentationPlan(brightness=0, contrast=0)
    whole = bag(5)
    turned, known = draw_bag_patches([whole, None], PIXELS, still, ("key",))
    assert known.tolist() == [[True] * 5 + [False], [False] * 6]
    same = 0
    for before, after in zip(whole.patches, turned[0].numpy(), strict=False):
        ways = [np.rot90(p, k, axes=(1, 2)) for p in (before, before[:, :, ::-1]) for k in range(4)]
        assert any(np.array_equal(after, way) for way in ways)
        same += np.array_equal(after, before)
    assert same < 5


def test_stain_changes_alike_in_the_whole_slide_and_keeps_its_order() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 16, 16, 3).transpose(0, 3, 1, 2)
    both = np.concatenate([ramp, ramp])
    strong = AugmentationPlan(probability=1.0, contrast=0.3, brightness=0.2)
    found = recolor_stain(both, strong, np.random.default_rng(1))
    assert np.array_equal(found[0], found[1])
    line = found[0, 0].reshape(-1).astype(int)
    assert (np.diff(line) >= 0).all()
    assert not np.array_equal(found, both)
    assert np.array_equal(
        recolor_stain(both, AugmentationPlan(probability=0.0), np.random.default_rng(1)), both
    )


def test_bags_of_different_sizes_are_padded() -> None:
    parts = [torch.ones(1, 2, n, 3) for n in (2, 5)]
    joined = join_padded(parts)
    assert joined.shape == (2, 2, 5, 3)
    assert joined[0, :, 2:].sum() == 0
    assert join_padded([torch.ones(1, 1, n, dtype=torch.bool) for n in (1, 3)]).sum() == 4


def test_a_full_sample_has_every_patch_and_its_place(world: World) -> None:
    cohort, plan, store, _ = world
    sample = cohort.samples(["s04"])[0]
    full = full_sample(store, cohort, sample, plan, plan.folds[0])
    patches, missing = full.bags["biopsy"]
    assert patches is not None
    assert missing is None
    assert full.bag_known["biopsy"].tolist() == [[True] * len(patches), [False] * len(patches)]
    assert full.coords["biopsy"][0] is not None
    assert full.coords["biopsy"][0].shape == (len(patches), 2)
    batch = make_sample_batch(full, plan, ())
    assert batch.bags["biopsy"].shape == (1, 2, len(patches), 3, 32, 32)
    assert np.array_equal(batch.bags["biopsy"][0, 0].numpy(), patches)
    assert np.array_equal(batch.bags["bag"][0, 1].numpy(), features(4))
    assert batch.bag_known["bag"].all()
    empty = make_sample_batch(
        full_sample(store, cohort, cohort.samples(["s05"])[0], plan, plan.folds[0]), plan, ()
    )
    assert empty.bag_known["bag"].shape == (1, 2, 1)
    assert not empty.bag_known["bag"].any()
    assert batch.to(torch.device("cpu")).bags.keys() == batch.bags.keys()


def test_new_cases_are_cut_as_stored_ones(world: World) -> None:
    cohort, plan, store, _ = world
    fresh = InMemoryStore(cohort, plan)
    sample = cohort.samples(["s08"])[0]
    fresh.begin(sample.cases)
    for case in sample.cases:
        for name in plan.shared.slides:
            new, stored = fresh.case(case.key).bag(name), store.case(case.key).bag(name)
            assert (new is None) == (stored is None)
            if new is not None and stored is not None:
                assert np.array_equal(new.patches, stored.patches)
                assert np.array_equal(new.coords, stored.coords)
                assert (new.extent, new.of) == (stored.extent, stored.of)


def test_a_case_is_made_again_only_when_its_slide_or_cut_changes(world: World, tmp_path: Path) -> None:
    cohort, plan, _, _ = world
    root = Path(shutil.copytree(cohort.root, tmp_path / "cohort"))
    own = Cohort.read(root)
    store = Store(tmp_path / "store")
    assert fill_store(store, own, plan).made == 24
    assert fill_store(store, own, plan).made == 0
    shutil.copyfile(root / "s00.tif", root / "s01.tif")
    assert fill_store(store, own, plan).made == 1
    assert fill_store(store, own, set_values(plan, ["slides.biopsy.patches=2"])).made == 0
    few = set_values(plan, ["slides.bag.most=8"])
    assert fill_store(store, own, few).made == 24
    bag = store.case("s04@first").bag("bag")
    assert bag is not None
    assert (len(bag.patches), bag.of) == (8, 24)
    assert np.array_equal(bag.patches[[0, -1]], features(4)[[0, -1]])
    meta = json.loads((store.folder / "s04@first" / "meta.json").read_text())
    assert meta["slides"] == {
        "bag": {"extent": 0, "of": 24},
        "biopsy": {"extent": 64, "of": len(bag_of(store))},
    }


def bag_of(store: Store) -> np.ndarray:
    found = store.case("s04@first").bag("biopsy")
    assert found is not None
    return found.patches


def test_a_slide_without_tissue_is_refused_with_its_subject(world: World, tmp_path: Path) -> None:
    from tests.images.slide_worlds import write_pyramid

    cohort, plan, _, _ = world
    root = Path(shutil.copytree(cohort.root, tmp_path / "cohort"))
    write_pyramid(root / "s01.tif", 256, 64, set(), (1,), tile=64)
    with pytest.raises(
        PolytaskError, match=r"subject s01, visit first, biopsy: .*no patch with enough tissue"
    ):
        fill_store(Store(tmp_path / "store"), Cohort.read(root), plan)
    assert not list((tmp_path / "store").glob(".half-*"))
