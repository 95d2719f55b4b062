import numpy as np
import pytest
import torch

from polytask.cohort.cohort import Cohort
from polytask.plan.plan_schema import AugmentationPlan, Plan
from polytask.prepare.batch import Batch
from polytask.prepare.sample_reader import SampleDraw, join_batches, read_sample
from polytask.prepare.sample_table import SampleTable
from polytask.prepare.schema import make_batch_schema
from polytask.prepare.store import Store
from tests.prepare.worlds import BOTH, filled, image_plan, make_plan

QUIET = {"noise": 0, "blur": 0, "brightness": 0, "contrast": 0, "gamma": 0, "low_resolution": 0}
World = tuple[Cohort, Plan, Store]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return filled(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> World:
    return filled(tmp_path_factory.mktemp("store"), **BOTH)


def sample(
    world: World, subject: str, key: object = None, strength: AugmentationPlan | None = None, **image: object
) -> Batch:
    cohort, plan, store = world
    if strength or image:
        field = {k: v for k, v in plan.shared.images["scan"].model_dump().items() if k in BOTH}
        plan = make_plan(cohort, image_plan(**{**field, **image}), strength or plan.shared.augmentation)
    schema = make_batch_schema(cohort, plan, plan.folds[0])
    draw = SampleDraw(("run", key, subject), key is not None)
    return read_sample(store, SampleTable(cohort, cohort.samples([subject]), schema)[0], schema, draw)


def strength(**changes: object) -> AugmentationPlan:
    values = {"rotate": 20, "scale": 0.1, "elastic": 2.0, "flip": (True,) * 3, "probability": 1.0, **QUIET}
    return AugmentationPlan(**{**values, **changes})  # type: ignore[arg-type]


def test_without_augmentation_the_view_is_the_stored_image(world: World) -> None:
    batch = sample(world, "s1")
    view = batch.whole["scan"][0, 0, 0]
    stored = world[2].case("s1@first").image["scan"][0].astype(np.float32) / 100
    assert np.allclose(view[1:-1, 1:-1].numpy(), stored)
    target = batch.targets["sides"]
    assert target.region is not None
    assert target.region[0, 0].sum() == 22 * 18 * 16
    assert not target.region[0, 0, 0].any()


@pytest.mark.parametrize("number", range(8))
def test_masks_dose_and_image_move_together(world: World, number: int) -> None:
    """Masks are painted into the image: 4 where the left, 8 where the right structure is, core 2 in `fl`."""
    batch = sample(world, "s1", number, strength())
    for visit in range(2):
        ct, fl = batch.whole["scan"][0, visit, :2]
        sides = batch.targets["sides"].value[0, visit]
        swapped = bool(batch.targets["halves"].value[0, visit][ct > 7.9].float().mean() < 1.5)
        left, right = (8, 4) if swapped else (4, 8)
        for plane, shade in zip(sides, (left, right), strict=True):
            inner = plane.bool()
            assert inner.sum() > 100
            assert (ct[inner] - shade).abs().median() < 0.5
        halves = batch.targets["halves"].value[0, visit]
        assert torch.equal(halves == 1, sides[0] == 1)
        assert torch.equal(halves == 2, sides[1] == 1)
        tumour, region = batch.targets["tumour"].value[0, visit], batch.targets["tumour"].region
        assert region is not None
        core, outer = fl[(tumour == 1) & region[0, visit]].median(), fl[tumour == 0].median()
        assert abs(float(core - outer)) > 1


@pytest.mark.parametrize("number", range(6))
def test_mirrored_structures_stay_on_their_side(world: World, number: int) -> None:
    """After flips the patient's left structure is still at the left, whatever the voxels were."""
    only = strength(rotate=0, scale=0, translate=0, elastic=0)
    batch = sample(world, "s1", number, only)
    sides, ct = batch.targets["sides"].value[0, 0], batch.whole["scan"][0, 0, 0]
    where = [float(s.nonzero()[:, 0].float().mean()) for s in sides]
    assert where[0] < where[1]  # RAS: low indices are the patient's left
    shade = float(ct[sides[0].bool()].mean())
    assert shade in (4.0, 8.0)


def test_both_sides_of_a_flip_occur(world: World) -> None:
    only = strength(rotate=0, scale=0, translate=0, elastic=0)
    shades = {
        float(b.whole["scan"][0, 0, 0][b.targets["sides"].value[0, 0, 0].bool()].mean())
        for b in (sample(world, "s1", n, only) for n in range(12))
    }
    assert shades == {4.0, 8.0}


def test_a_flip_swaps_what_is_known_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from polytask.prepare.store import StoredCase

    monkeypatch.setattr(StoredCase, "known", lambda self, task: (True, False) if task == "sides" else ())
    only = strength(rotate=0, scale=0, translate=0, elastic=0)
    for number in range(8):
        batch = sample(world, "s1", number, only)
        left = batch.targets["sides"].value[0, 0, 0].bool()
        flipped = float(batch.whole["scan"][0, 0, 0][left].mean()) == 8.0
        assert batch.targets["sides"].known[0, 0].tolist() == [not flipped, flipped]


def test_all_visits_move_alike(world: World) -> None:
    """Both visits have the same boxes at the same place: after the draw they still agree."""
    for number in range(4):
        sides = sample(world, "s1", number, strength()).targets["sides"].value[0]
        assert torch.equal(sides[0], sides[1])


def test_draws_are_functions(world: World) -> None:
    first, again, other = (sample(world, "s2", k).whole["scan"] for k in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_unknown_is_marked_and_zero(world: World) -> None:
    batch = sample(world, "s5", 1)
    for task in ("tumour", "sides", "dose"):
        target = batch.targets[task]
        assert target.region is not None
        assert not target.known.any()
        assert not target.region.any()
        assert not target.value.any()
    grade = sample(world, "s2", 1).targets["grade"]
    assert grade.known.tolist() == [[True, False]]
    assert grade.value.tolist() == [[1, 0]]


def test_a_padded_visit_is_empty(world: World) -> None:
    batch = sample(world, "s3", 1)
    assert batch.visits == (("", "second"),)
    assert batch.visit_known.tolist() == [[False, True]]
    assert not batch.whole["scan"][0, 0].any()
    assert not batch.channel_known["scan"][0, 0].any()
    assert not batch.targets["tumour"].known[0, 0].any()
    assert not batch.targets["size"].known[0, 0]


def test_values_of_the_table(world: World) -> None:
    batch = sample(world, "s4")
    assert batch.targets["size"].value.tolist() == [[3.5, 3.5]]
    assert batch.targets["findings"].value.tolist() == [[[1, 0], [1, 0]]]
    assert sample(world, "s1").targets["findings"].known.tolist() == [[[False, True], [False, True]]]
    assert batch.targets["os"].value.tolist() == [[100, 1]]
    assert batch.targets["rare"].value.tolist() == [1]
    assert not sample(world, "s1").targets["rare"].known.item()
    assert batch.day.tolist() == [[0, 30]]


def test_missing_and_dropped_channels_are_zero_with_their_flag_down(world: World) -> None:
    missing = sample(world, "s2", 0, strength(noise=0.5))
    assert missing.channel_known["scan"].tolist() == [[[True, False]] * 2]
    assert not missing.whole["scan"][0, :, 1].any()
    assert not missing.whole["scan"][0, :, 3].any()
    seen = [sample(world, "s1", n, strength(noise=0.5), channel_dropout=0.5) for n in range(12)]
    flags = torch.cat([b.channel_known["scan"].flatten(0, 1) for b in seen])
    planes = torch.cat([b.whole["scan"].flatten(0, 1) for b in seen])
    assert flags.any(dim=1).all()
    assert 0.2 < float(flags.float().mean()) < 0.95
    assert torch.equal(planes[:, :2].flatten(2).abs().amax(dim=2) > 0, flags)
    assert torch.equal(planes[:, 2:].flatten(2).amax(dim=2) > 0, flags)


def test_a_region_keeps_its_place(world: World) -> None:
    """s1's tumour counts below slice 14 only; voxel (0, 0, 0) of the file is ignored."""
    region = sample(world, "s1").targets["tumour"].region
    assert region is not None
    assert int(region[0, 0].sum()) == 22 * 18 * 14 - 1


def test_patches_show_the_same_transformation_as_the_whole(both: World) -> None:
    batch = sample(both, "s1", 5, strength())
    assert batch.whole["scan"].shape == (1, 2, 4, 12, 12, 8)
    assert batch.patch["scan"].shape == (1, 2, 2, 4, 8, 8, 8)
    assert batch.targets["sides"].value.shape == (1, 2, 2, 2, 8, 8, 8)
    assert batch.targets["sides"].known.shape == (1, 2, 2)
    assert batch.targets["dose"].value.shape == (1, 2, 2, 8, 8, 8)
    for visit in range(2):
        for patch in range(2):
            ct = batch.patch["scan"][0, visit, patch, 0]
            for plane in batch.targets["sides"].value[0, visit, patch]:
                if plane.sum() > 20:
                    assert min(abs(float(ct[plane.bool()].median()) - shade) for shade in (4, 8)) < 1


def test_patches_are_centered_on_structures_as_often_as_planned(both: World) -> None:
    def hits(share: float) -> float:
        found = []
        for number in range(30):
            batch = sample(both, "s1", number, strength(probability=0.0, flip=()), foreground=share)
            inside = [batch.targets[t].value for t in ("tumour", "halves", "dose")]
            found += [any(float(v[0, s, p, 4, 4, 4]) > 0 for v in inside) for s in range(2) for p in range(2)]
        return float(np.mean(found))

    assert hits(1.0) > 0.95


def test_only_the_views_somebody_reads(both: World) -> None:
    cohort, plan, _ = both
    fold = plan.folds[0]
    assert make_batch_schema(cohort, plan, fold, ["tumour"]).whole == ()
    assert make_batch_schema(cohort, plan, fold, ["grade"]).patch == ()
    assert (
        make_batch_schema(cohort, plan, fold).whole
        == make_batch_schema(cohort, plan, fold).patch
        == ("scan",)
    )


def test_samples_side_by_side(world: World) -> None:
    parts = [sample(world, s, 1) for s in ("s1", "s3")]
    batch = join_batches(parts)
    assert batch.subjects == ("s1", "s3")
    assert batch.whole["scan"].shape[0] == 2
    assert torch.equal(batch.targets["tumour"].value[1:], parts[1].targets["tumour"].value)


def test_training_sees_an_image_longer_than_the_view_through_windows(world: World) -> None:
    """Of a 22×18×16 image with a view of 12 along the first axis: anywhere in it, and its masks move with it."""
    seen = set()
    stored = world[2].case("s1@first").image["scan"][0].astype(np.float32) / 100
    still = strength(probability=0.0, flip=(False,) * 3)
    for number in range(12):
        batch = sample(world, "s1", number, still, view=(12, 20, 16))
        ct, sides = batch.whole["scan"][0, 0, 0], batch.targets["sides"]
        starts = [at for at in range(11) if np.allclose(ct[:, 1:19].numpy(), stored[at : at + 12])]
        assert starts, "a part of the image"
        seen.add(starts[0])
        assert torch.equal(ct, sample(world, "s1", number, still, view=(12, 20, 16)).whole["scan"][0, 0, 0])
        if (left := sides.value[0, 0, 0].bool()).any():
            assert (ct[left] - 4).abs().median() < 0.5
        assert sides.region is not None
        assert sides.region[0, 0].sum() == 12 * 18 * 16
    assert len(seen) > 4
    quiet = sample(world, "s1", None, still, view=(12, 20, 16)).whole["scan"][0, 0, 0]
    assert np.allclose(quiet[:, 1:19].numpy(), stored[5:17]), "without augmentation the middle"
