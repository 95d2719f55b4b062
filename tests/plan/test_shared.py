"""Augmentation, training and model: what data and machine decide for all folds."""

from __future__ import annotations

from typing import Any

import pytest

from polytask.cohort.cohort import Cohort
from polytask.plan.fingerprint_records import Fingerprint
from polytask.plan.machine import GIB, Machine
from polytask.plan.plan_schema import AugmentationPlan, SharedPlan
from polytask.plan.planner import make_plan
from polytask.prepare.geometry_draw import find_flips
from tests.plan.worlds import (
    LAPTOP,
    SERVER,
    case_record,
    cohort_of,
    graded,
    header,
    image_record,
    one_fold,
    prints,
)

MASKS = {"kind": "segmentation", "image": "scan", "labels": {"tumour": 1}}
GRADE = {"kind": "ordinal", "order": ["G1", "G2", "G3"]}


def shared_of(cohort: Cohort, found: Fingerprint | None = None, machine: Machine = LAPTOP) -> SharedPlan:
    """The shared part; images of 24³ unless given."""
    count = len(cohort.subjects)
    return make_plan(
        cohort, found or prints([(24, 24, 24)] * count), one_fold(cohort), machine=machine
    ).shared


def world(tasks: dict[str, Any], count: int = 12, **parts: Any) -> Cohort:
    """Graded subjects with masks."""
    return cohort_of(header(tasks=tasks, **parts), graded(count))


def test_flips_are_left_right_only() -> None:
    assert shared_of(world({"tumour": MASKS})).augmentation.flip == (True, False, False)


@pytest.mark.parametrize(
    ("structures", "mirror", "flips"),
    [
        (["kidney_l", "kidney_r"], [["kidney_l", "kidney_r"]], True),
        (["kidney_l", "kidney_r"], [], False),
        (["left lung", "heart"], [], False),
        (["heart", "rib"], [], True),
    ],
)
def test_sides_forbid_flips_unless_they_are_swapped(
    structures: list[str], mirror: list[list[str]], flips: bool
) -> None:
    organs = {"kind": "segmentation", "image": "scan", "structures": structures, "mirror": mirror}
    records = {
        f"s{i:02d}": case_record(f"s{i:02d}", image_record((24, 24, 24)), dict.fromkeys(structures, 5))
        for i in range(12)
    }
    cohort = cohort_of(header(tasks={"tumour": organs}), graded(12))
    shared = shared_of(cohort, Fingerprint(cases=records))
    assert any(shared.augmentation.flip) == flips
    if not flips:
        assert structures[0] in shared.why["augmentation.flip"]


@pytest.mark.parametrize(
    ("channels", "mirror", "flips"),
    [
        ({"ct": "CT", "lung_l": "mask", "lung_r": "mask"}, [["lung_l", "lung_r"]], True),
        ({"ct": "CT", "lung_l": "mask", "lung_r": "mask"}, [], False),
        ({"ct": "CT", "t1_left": "MR"}, [], False),
        ({"r": "other", "g": "other", "b": "other"}, [], True),
    ],
)
def test_channels_of_one_side_forbid_flips_unless_they_change_places(
    channels: dict[str, str], mirror: list[list[str]], flips: bool
) -> None:
    scan = {"kind": "image", "channels": channels, "mirror": mirror}
    shared = shared_of(world({"tumour": MASKS}, inputs={"scan": scan}))
    assert any(shared.augmentation.flip) == flips
    assert ("scan.lung_l/lung_r are swapped" in shared.why["augmentation.flip"]) == bool(mirror)
    if not flips:
        assert f"scan.{list(channels)[1]}" in shared.why["augmentation.flip"]


def test_a_class_that_says_a_side_forbids_flips() -> None:
    side = {"kind": "classification", "classes": ["left", "right"]}
    cells = [{**row, "side": ("left", "right")[i % 2]} for i, row in enumerate(graded(12))]
    cohort = cohort_of(header(tasks={"side": side}), cells)
    assert shared_of(cohort).augmentation.flip == (False, False, False)


def flat(orientation: str, modality: str, count: int = 12) -> tuple[Cohort, Fingerprint]:
    """2D images."""
    head = header(
        inputs={"scan": {"kind": "image", "dims": 2, "channels": {"ct": modality}}}, tasks={"grade": GRADE}
    )
    records = {
        f"s{i:02d}": case_record(f"s{i:02d}", image_record((64, 64), orientation=orientation))
        for i in range(count)
    }
    return cohort_of(head, graded(count)), Fingerprint(cases=records)


@pytest.mark.parametrize(
    ("orientation", "modality", "flip"),
    [
        ("PL", "XR", (False, True)),
        ("LP", "XR", (True, False)),
        ("AS", "MR", (False, False)),
        ("PL", "other", (True, True)),
        ("PL", "US", (False, True)),
        ("LP", "US", (True, False)),
        ("RA", "US", (False, False)),
        ("PL", "OCT", (False, True)),
    ],
)
def test_flips_of_flat_images_follow_the_files_axes(
    orientation: str, modality: str, flip: tuple[bool, ...]
) -> None:
    assert shared_of(*flat(orientation, modality)).augmentation.flip == flip


def test_an_ultrasound_is_never_turned_upside_down() -> None:
    """Not as a volume, whose depth may be any axis, and not as a color picture that is called one."""
    volume = header(inputs={"scan": {"kind": "image", "channels": {"ct": "US"}}}, tasks={"tumour": MASKS})
    shared = shared_of(cohort_of(volume, graded(12)))
    assert shared.augmentation.flip == (False, False, False)
    assert "probe is always at the top" in shared.why["augmentation.flip"]
    for channel, flip, rotate in (("bmode", (False, True), 15.0), ("photo", (True, True), 30.0)):
        spec = {"kind": "image", "dims": 2, "channels": {channel: "RGB"}}
        cohort = cohort_of(header(inputs={"scan": spec}, tasks={"grade": GRADE}), graded(12))
        _, prints = flat("PL", "RGB")
        shared = shared_of(cohort, prints)
        assert (shared.augmentation.flip, shared.augmentation.rotate) == (flip, rotate)


def test_size_in_mm_is_kept_for_pooled_tasks() -> None:
    assert shared_of(world({"tumour": MASKS})).augmentation.scale == 0.15
    assert shared_of(world({"tumour": MASKS, "grade": GRADE})).augmentation.scale == 0.05


def test_steps_follow_the_cohort() -> None:
    few = shared_of(world({"grade": GRADE}, 12)).training
    many = shared_of(world({"grade": GRADE}, 300), prints([(64, 64, 64)] * 300)).training
    assert few.steps_per_epoch * few.batch >= 9, "an epoch sees every training sample"
    assert 600 <= few.epochs * few.steps_per_epoch <= 700
    assert 5_900 <= many.epochs * many.steps_per_epoch <= 6_200
    assert few.patience == 0
    assert many.patience > 0
    assert many.epochs / many.tune_every == pytest.approx(20, rel=0.2)


def test_batch_is_at_least_two_and_grows_for_small_images() -> None:
    assert shared_of(world({"tumour": MASKS}, 60)).training.batch > 2
    large = shared_of(world({"tumour": MASKS}, 60), prints([(64, 64, 64)] * 60))
    assert large.training.batch == 2


def test_a_machine_gives_threads_workers_and_precision() -> None:
    laptop, server = (
        shared_of(world({"grade": GRADE})).training,
        shared_of(world({"grade": GRADE}), machine=SERVER).training,
    )
    assert (laptop.threads, laptop.workers, laptop.precision) == (2, 0, "bf16")
    assert (server.threads, server.precision) == (16, "bf16")
    assert server.workers > 1
    slow = shared_of(world({"grade": GRADE}), machine=Machine(4, 16 * GIB, gain=0.7))
    assert slow.training.precision == "float32"
    assert "less than 1.15" in slow.why["training.precision"]
    assert slow.training.workers == 1


def test_a_rare_task_is_drawn_on_purpose() -> None:
    rare = {"kind": "classification", "classes": ["no", "yes"]}
    cells = [
        {**row, **({"pcr": "no" if i % 2 else "yes"} if i < 6 else {})} for i, row in enumerate(graded(100))
    ]
    found = prints([(64, 64, 64)] * 100)
    shared = shared_of(cohort_of(header(tasks={"tumour": MASKS, "pcr": rare}), cells), found)
    assert shared.training.batch == 2
    assert shared.training.require_every == {"pcr": 9}, "1 / (0.06 · 2)"
    assert "6 %" in shared.why["training.require_every.pcr"]


def test_a_missing_channel_brings_flags_and_dropout() -> None:
    head = header(
        inputs={"scan": {"kind": "image", "channels": {"ct": "CT", "mr": "MR"}}}, tasks={"grade": GRADE}
    )
    cohort = cohort_of(head, graded(12))
    whole = {
        f"s{i:02d}": case_record(f"s{i:02d}", image_record((24,) * 3, channels=("ct", "mr")))
        for i in range(12)
    }
    full = shared_of(cohort, Fingerprint(cases=whole)).images["scan"]
    assert (full.channel_flags, full.channel_dropout) == (False, 0.0)
    whole["s03"] = case_record("s03", image_record((24,) * 3, channels=("mr",)))
    lacking = shared_of(cohort, Fingerprint(cases=whole))
    assert lacking.images["scan"].channel_flags
    assert lacking.images["scan"].channel_dropout > 0
    assert "ct in 1" in lacking.why["images.scan.channel_flags"]


def test_every_voxel_task_has_a_decoder_of_its_own() -> None:
    tasks = dict.fromkeys(("tumour", "b", "c"), MASKS)
    cells = [{**row, "b": "b.nii.gz", "c": "c.nii.gz"} for row in graded(12)]
    found = prints([(24, 24, 24)] * 12)
    spread = Fingerprint(
        cases={
            k: c.model_copy(update={"voxels": dict.fromkeys(tasks, c.voxels["tumour"])})
            for k, c in found.cases.items()
        }
    )
    cohort = cohort_of(header(tasks=tasks), cells)
    plan = shared_of(cohort, spread)
    assert plan.model.decoder == "private"
    assert "`shared`" in plan.why["model.decoder"]


def test_a_table_alone_needs_no_image() -> None:
    head = header(
        inputs={"clinic": {"kind": "table", "columns": {"age": {"type": "number"}}}}, tasks={"grade": GRADE}
    )
    cells = [{"age": str(40 + i), "grade": f"G{1 + i % 3}"} for i in range(40)]
    cohort = cohort_of(head, cells)
    records = {f"s{i:02d}": case_record(f"s{i:02d}", image_record((4, 4, 4))) for i in range(40)}
    bare = Fingerprint(cases={k: c.model_copy(update={"images": {}}) for k, c in records.items()})
    plan = make_plan(cohort, bare, one_fold(cohort), machine=LAPTOP)
    assert plan.shared.images == {}
    assert plan.shared.training.batch > 2


def test_pictures_and_volumes_of_one_cohort_keep_their_own_flips() -> None:
    """A photo beside a volume: the volume's left and right do not forbid to turn the photo upside down."""
    photo = {"kind": "image", "dims": 2, "channels": {"gray": "other"}}
    scan = {"kind": "image", "channels": {"ct": "CT"}}
    head = header(inputs={"photo": photo, "scan": scan}, tasks={"grade": GRADE})
    flat_record = image_record((64, 64), channels=("gray",), orientation="PL")
    records = {
        f"s{i:02d}": case.model_copy(update={"images": {**case.images, "photo": flat_record}})
        for i, case in enumerate(prints([(32, 32, 32)] * 12).cases.values())
    }
    cells = [{**row, "photo.gray": "p.png"} for row in graded(12)]
    shared = shared_of(cohort_of(head, cells), Fingerprint(cases=records))
    augmentation = shared.augmentation
    assert (augmentation.flip, augmentation.flip_2d) == ((True, False, False), (True, True))
    assert find_flips(augmentation, 3) == (True, False, False)
    assert find_flips(augmentation, 2) == (True, True)
    assert "photo along every axis" in shared.why["augmentation.flip_2d"]
    assert "photo" not in shared.why["augmentation.flip"]


def test_flips_of_plans_without_own_flips_of_pictures_hold_for_all_images() -> None:
    old = AugmentationPlan(flip=(True, False, True))
    assert (find_flips(old, 2), find_flips(old, 3)) == ((True, False), (True, False, True))
    assert find_flips(AugmentationPlan(flip=(True,)), 3) == (True, False, False)
