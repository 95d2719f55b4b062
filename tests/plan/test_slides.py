"""The plan of slides: reasons, bounds, and nothing learned from subjects who must not teach."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.splits import Splits, make_splits
from polytask.errors import PolytaskError
from polytask.images.slide_patches import PatchSpec, find_tissue_patches
from polytask.images.slides import open_slide
from polytask.plan.fingerprint import make_fingerprint
from polytask.plan.plan_file import render_plan, write_plan
from polytask.plan.plan_schema import Plan, SlidePlan
from polytask.plan.plan_settings import set_value
from polytask.plan.plan_summary import render_summary
from polytask.plan.planner import make_plan
from tests.images.slide_cohorts import SUBJECTS, features, write_cohort
from tests.images.slide_worlds import TISSUE, write_pyramid
from tests.images.test_bag_files import write
from tests.plan.test_planner import unexplained
from tests.plan.worlds import LAPTOP, SERVER


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("slides") / "cohort")


@pytest.fixture(scope="module")
def splits(folder: Path) -> Splits:
    return make_splits(Cohort.read(folder), folds=2, seed=0)


@pytest.fixture(scope="module")
def plan(folder: Path, splits: Splits) -> Plan:
    cohort = Cohort.read(folder)
    return make_plan(cohort, make_fingerprint(cohort), splits, machine=LAPTOP)


def test_values_follow_the_header_and_the_slides(plan: Plan) -> None:
    pixels, bag = plan.shared.slides["biopsy"], plan.shared.slides["bag"]
    # squares(n) has at most four squares of 64 pixels, each exactly one patch of 32 at 1 µm.
    assert pixels == SlidePlan(
        features=None, patch=32, mpp=1.0, downsample=None, tissue=0.5, patches=4, most=1024, widths=(16, 32, 64)
    )  # fmt: skip
    assert (bag.features, bag.patch, bag.patches, bag.most, bag.widths) == (5, None, 30, 50_000, ())


def test_patches_by_hand_replan_the_encoder_and_the_counts(folder: Path, splits: Splits) -> None:
    cohort = Cohort.read(folder)
    settings = ["slides.biopsy.patch=16", "slides.biopsy.mpp=1"]
    shared = make_plan(cohort, make_fingerprint(cohort), splits, machine=LAPTOP, settings=settings).shared
    pixels = shared.slides["biopsy"]
    assert (pixels.patch, pixels.widths) == (16, (16, 32)), "4 positions remain after two halvings"
    assert pixels.patches == 16, "a quarter of the area: four times as many"
    assert "follows from that of the patches in the header" in shared.why["slides.biopsy.patches"]
    assert shared.why["slides.biopsy.widths"].endswith("4 positions remain")


def test_every_value_has_a_reason(plan: Plan, folder: Path, splits: Splits) -> None:
    cohort = Cohort.read(folder)
    server = make_plan(cohort, make_fingerprint(cohort), splits, machine=SERVER)
    for found in (plan, server):
        shared = found.shared.model_dump(mode="json")
        assert [leaf for leaf in unexplained(shared, 99) if leaf.startswith("slides")] == []
        for fold in found.folds.values():
            missing = unexplained(fold.model_dump(mode="json"), 2)
            assert [leaf for leaf in missing if leaf.startswith("slides")] == []
    assert server.shared.slides["biopsy"].widths == (32, 64, 128)


def test_scales_are_those_of_the_training_slides(plan: Plan, splits: Splits) -> None:
    train = splits.folds[0].train
    rules = plan.folds[0].slides
    assert [r.mean for r in rules["biopsy"]] == pytest.approx(TISSUE, abs=1)
    own = [features(SUBJECTS.index(s)).astype(np.float64) for s in train if s != "s05"]
    mean = np.mean([f.mean() for f in own])
    sd = np.sqrt(np.mean([(f**2).mean() for f in own]) - mean**2)
    assert [(r.mean, r.sd) for r in rules["bag"]] == [pytest.approx((mean, sd), rel=1e-4)]


def test_held_out_slides_change_no_byte_of_their_fold(
    folder: Path, splits: Splits, plan: Plan, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    fold = splits.folds[0]
    for subject in (*fold.held_out, *fold.tune, SUBJECTS[-1]):
        number = SUBJECTS.index(subject)
        write_pyramid(copy / f"{subject}.tif", 256, 64, {(0, 0)}, (1,), tile=64, mpp=0.4)
        write(copy / f"{subject}{('.npz', '.h5', '.pt')[number % 3]}", features(number) * 3 + 1)
    cohort = Cohort.read(copy)
    after = make_plan(cohort, make_fingerprint(cohort), splits, machine=LAPTOP)

    def learned(found: Plan, number: int) -> str:
        part = {number: found.folds[number]}
        own = found.model_copy(update={"folds": part, "shared": plan.shared, "cohort": "x", "digest": "x"})
        return render_plan(own, folder)

    assert learned(after, 0) == learned(plan, 0)
    assert learned(after, 1) != learned(plan, 1)


def test_it_is_written_read_and_set(plan: Plan, tmp_path: Path) -> None:
    write_plan(plan, tmp_path)
    assert Plan.read(tmp_path).shared == plan.shared
    assert set_value(plan, "slides.biopsy.patches=2").shared.slides["biopsy"].patches == 2
    for word, message in {
        "slides.biopsy.patch=4": "cannot be halved 3 times",
        "slides.biopsy.most=1": "fewer than the 4 of a step",
        "slides.biopsy.downsample=4": "either `mpp` or `downsample`",
        "slides.bag.patches=0": "at least 1",
        "slides.biops.patch=4": "did you mean 'biopsy'",
    }.items():
        with pytest.raises(PolytaskError, match=message):
            set_value(plan, word)
    assert "biopsy: patches" in render_summary(plan)


def test_a_fingerprint_is_used_again_until_the_slide_changes(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    cohort = Cohort.read(copy)
    before = make_fingerprint(cohort)
    assert before.cases["s01@first"].slides["biopsy"].patches == 3
    write_pyramid(copy / "s01.tif", 256, 64, {(0, 0)}, (1, 2), tile=64)
    after = make_fingerprint(cohort, previous=before)
    changed = [key for key in after.cases if after.cases[key] != before.cases[key]]
    assert changed == ["s01@first"]


def test_patches_are_counted_for_every_share_of_tissue(folder: Path, splits: Splits) -> None:
    """Patches of 48 pixels over squares of tissue of 64: many are tissue in part."""
    cohort = Cohort.read(
        write_cohort(folder.parent / "odd", biopsy={"kind": "slide", "patch": 24, "mpp": 1.0})
    )
    found = make_fingerprint(cohort)
    for share in (0.0, 0.1, 0.25, 0.5, 0.55, 1.0):
        cut, counts = PatchSpec(24, 1.0, None, share), []
        for key, case in found.cases.items():
            if "biopsy" in case.slides:
                with open_slide(cohort.root / f"{key.split('@')[0]}.tif") as slide:
                    counts.append(len(find_tissue_patches(slide, cut)))
                assert case.slides["biopsy"].count_patches(share) == counts[-1], (key, share)
        if not min(counts):
            with pytest.raises(PolytaskError, match="have no patch with so much tissue"):
                make_plan(cohort, found, splits, machine=LAPTOP, settings=[f"slides.biopsy.tissue={share}"])
            continue
        why = make_plan(
            cohort, found, splits, machine=LAPTOP, settings=[f"slides.biopsy.tissue={share}"]
        ).shared.why
        assert f"slides have {min(counts)} to {max(counts)} patches" in why["slides.biopsy.patches"]
    earlier = found.cases["s00@first"].slides["biopsy"].model_copy(update={"tissue_counts": ()})
    assert earlier.count_patches(0.9) == earlier.patches, (
        "a fingerprint of an earlier version did not count them"
    )


def test_slides_that_cannot_be_planned(folder: Path, splits: Splits, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    write_pyramid(copy / "s01.tif", 256, 64, set(), (1,), tile=64)
    with pytest.raises(PolytaskError, match=r"s01\.tif: no patch with enough tissue"):
        make_fingerprint(Cohort.read(copy))
    table = copy / "cases.csv"
    table.write_text(re.sub(r"s\d\d\.tif", "", table.read_text()))
    cohort = Cohort.read(copy)
    found = make_fingerprint(cohort)
    with pytest.raises(PolytaskError, match="input biopsy has no slide outside the test part"):
        make_plan(cohort, found, splits, machine=LAPTOP)
