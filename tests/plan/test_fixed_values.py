"""A value set by hand before planning: what depends on it is planned again, and every reason is true."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.splits import Splits
from polytask.errors import PolytaskError
from polytask.kinds.plan_reasons import format_sizes
from polytask.plan.fingerprint_records import CaseRecord, Fingerprint, SlideRecord
from polytask.plan.machine import GIB
from polytask.plan.measure_slides import TISSUE_PARTS
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_value
from polytask.plan.planner import make_plan
from polytask.plan.rules.network_cost import (
    PASSES_PER_STEP,
    Topology,
    count_activation_bytes,
    count_parameter_bytes,
)
from polytask.plan.rules.view_sizes import count_view_flops
from tests.plan.worlds import LAPTOP, SERVER, cohort_of, graded, header, image_record, one_fold, prints

MASKS = {"tumour": {"kind": "segmentation", "image": "scan", "labels": {"tumour": 1}}}
GRADE = {"grade": {"kind": "ordinal", "order": ["G1", "G2", "G3"]}}


class World:
    """A cohort without files, which can be planned again and again.

    Args:
        orientation: of the files, whose arrays have this size once they are turned.
        slides: number of patches of each slide; none for a cohort without slides.
    """

    def __init__(
        self,
        size: tuple[int, ...],
        tasks: dict[str, object],
        machine: Any = LAPTOP,
        spacing: Any = None,
        orientation: str = "RAS",
        slides: Sequence[int] = (),
    ):
        scan = {"kind": "image", "channels": {"ct": "CT"}}
        inputs = {"scan": scan} | ({"biopsy": {"kind": "slide", "patch": 64, "mpp": 0.5}} if slides else {})
        cells = [row | ({"biopsy": "x.tif"} if slides else {}) for row in graded(12)]
        self.cohort: Cohort = cohort_of(header(tasks=tasks, inputs=inputs), cells)
        found = prints([size] * 12, [spacing or (1.0,) * len(size)] * 12)
        self.found = Fingerprint(
            cases={
                key: case.model_copy(
                    update={
                        "images": {
                            name: record.model_copy(update={"orientation": orientation})
                            for name, record in case.images.items()
                        },
                        "slides": {"biopsy": slide_record(slides[number])} if slides else {},
                    }
                )
                for number, (key, case) in enumerate(found.cases.items())
            }
        )
        self.splits: Splits = one_fold(self.cohort)
        self.machine = machine

    def plan(self, *settings: str) -> Plan:
        """Plan with values set by hand."""
        return make_plan(self.cohort, self.found, self.splits, machine=self.machine, settings=settings)


def slide_record(patches: int) -> SlideRecord:
    """A slide with this many patches at half tissue; twice as many have some, and half of them are full of it."""
    counts = [round(patches * (2 - 1.5 * k / TISSUE_PARTS)) for k in range(TISSUE_PARTS + 1)]
    counts[TISSUE_PARTS // 2] = patches
    return SlideRecord(
        patches=patches,
        size=(9000, 9000),
        mpp=0.5,
        mean=(1.0,) * 3,
        variance=(1.0,) * 3,
        tissue_counts=tuple(counts),
    )


WORLDS = {
    "whole": World((96, 96, 96), MASKS | GRADE),
    "patch": World((192, 192, 100), MASKS, spacing=(0.8, 0.8, 2.0)),
    "both": World((192, 192, 192), MASKS | GRADE),
    "coarser": World((256, 256, 200), GRADE),
    "gpu": World((192, 192, 192), MASKS | GRADE, SERVER),
    "turned": World((192, 160, 48), MASKS | GRADE, spacing=(0.8, 0.8, 3.0), orientation="SPL"),
    "slide": World((64, 64, 64), MASKS | GRADE, slides=[10, 14, 18, 22, 26, 30, 30, 30, 30, 30, 30, 40]),
}


def list_settable(plan: Plan) -> Iterator[tuple[str, Any]]:
    """Yield (path, value) of every value of the shared part that may be set."""
    shared = plan.shared.model_dump(mode="json")
    for section in ("training", "model", "augmentation"):
        yield from ((f"{section}.{key}", value) for key, value in shared[section].items())
    for name, image in shared["images"].items():
        yield from ((f"images.{name}.{key}", value) for key, value in image.items() if key != "dims")
    for name, slide in shared["slides"].items():
        yield from ((f"slides.{name}.{key}", value) for key, value in slide.items())
    yield "max_visits", shared["max_visits"]


def drop_reasons(plan: Plan) -> dict[str, Any]:
    """Everything but the reasons."""
    content = plan.model_dump(mode="json")
    for section in (content["shared"], *content["folds"].values()):
        del section["why"]
    return content


CHANGES = {
    "whole": [
        "images.scan.spacing=[2,2,2]",
        "images.scan.view=[80,80,80]",
        "images.scan.patch=[48,48,48]",
        "images.scan.widths=[8,16,32]",
        "images.scan.topology=light",
        "images.scan.field=both",
        "training.batch=3",
        "training.precision=float32",
    ],
    "patch": [
        "images.scan.spacing=[1.6,1.6,2]",
        "images.scan.patch=[64,64,48]",
        "images.scan.field=whole",
        "images.scan.topology=strided",
        "images.scan.strides=[[1,1,1],[2,2,1],[2,2,2]]",
        "training.steps_per_epoch=10",
        "training.threads=1",
    ],
    "both": [
        "images.scan.spacing=[1.5,1.5,1.5]",
        "images.scan.view=[96,96,96]",
        "images.scan.patch=[80,80,80]",
        "images.scan.view_spacing=[4,4,4]",
        "images.scan.patches=1",
        "images.scan.widths=[16,32,64]",
        "model.decoder=shared",
        "training.accumulation=2",
    ],
    "coarser": [
        "images.scan.spacing=[2,2,2]",
        "images.scan.view=[48,48,48]",
        "images.scan.view_spacing=[5,5,5]",
        "images.scan.crop.rule=body",
        "training.epochs=3",
    ],
    "gpu": [
        "images.scan.spacing=[1.5,1.5,1.5]",
        "images.scan.blocks=[1,1,1,1]",
        "images.scan.topology=strided",
        "training.optimizer=sgd",
        "images.scan.channel_flags=true",
    ],
    "turned": ["images.scan.orientation=none", "images.scan.spacing=[1,1,3]"],
    "slide": [
        "slides.biopsy.tissue=0.9",
        "slides.biopsy.tissue=0.01",
        "slides.biopsy.patch=128",
        "slides.biopsy.patches=4",
        "slides.biopsy.widths=[8,16]",
    ],
}


def keep_every_third(cases: list[tuple[str, str]]) -> list[Any]:
    """Cases that plan twice: two of three wait for the slow tests."""
    return [pytest.param(*case, marks=[pytest.mark.slow] if k % 3 else []) for k, case in enumerate(cases)]


CASES = [(name, change) for name, changes in CHANGES.items() for change in ("", *changes)]


@pytest.mark.parametrize(("name", "change"), keep_every_third(CASES))
def test_setting_what_was_planned_changes_nothing_but_its_reason(name: str, change: str) -> None:
    world, changes = WORLDS[name], [change] if change else []
    planned = world.plan(*changes)
    values = [(path, value) for path, value in list_settable(planned) if not change.startswith(path)]
    for path, value in random.Random(f"{name} {change}").sample(values, 5):
        again = world.plan(*changes, f"{path}={json.dumps(value)}")
        assert drop_reasons(again) == drop_reasons(planned), path
        assert again.shared.why.pop(path).startswith("set by hand, as planned"), path
        assert again.shared.why == {k: v for k, v in planned.shared.why.items() if k != path}, path


@pytest.mark.parametrize(("name", "change"), keep_every_third([case for case in CASES if case[1]]))
def test_what_was_planned_for_a_value_is_found_again_when_all_of_it_is_set(name: str, change: str) -> None:
    """The values that followed, set together with the one they followed from: nothing is left to decide otherwise."""
    world = WORLDS[name]
    planned = world.plan(change)
    others = [
        f"{path}={json.dumps(value)}"
        for path, value in list_settable(planned)
        if path.startswith(("images.", "slides.")) and not change.startswith(path)
    ]
    assert drop_reasons(world.plan(change, *others)) == drop_reasons(planned)


def measure_step(world: World, plan: Plan) -> tuple[float, float]:
    """GFLOP and GiB of a training step, counted from the plan alone."""
    image, training = plan.shared.images["scan"], plan.shared.training
    planes = 1 + image.channel_flags
    topology = Topology(image.dims, planes, image.widths, image.blocks, image.strides, image.kernels or ())
    decoders = sum(task["kind"] == "segmentation" for task in plan.folds[0].tasks.values())
    flops, size = 0.0, float(count_parameter_bytes(topology, decoders))
    for array, count, heads in (
        (image.view, 1, 0 if image.patch else decoders),
        (image.patch, image.patches, decoders),
    ):
        if array:
            flops += count * count_view_flops(topology, array, heads)
            kept = count_activation_bytes(
                topology, array, heads, training.precision, world.machine.device, decoders
            )
            size += training.batch * count * kept
    for slide in plan.shared.slides.values():
        edge, stages = (slide.patch, slide.patch), len(slide.widths)
        encoder = Topology(2, 3, slide.widths, (1,) * stages, ((2, 2),) * stages)
        flops += slide.patches * count_view_flops(encoder, edge, 0)
        each = count_activation_bytes(encoder, edge, 0, training.precision, world.machine.device)
        size += training.batch * slide.patches * each + count_parameter_bytes(encoder, 0)
    return PASSES_PER_STEP * training.batch * flops, size / GIB


@pytest.mark.parametrize(("name", "change"), CASES)
def test_times_and_memory_are_those_of_the_final_plan(name: str, change: str) -> None:
    world = WORLDS[name]
    # Crops of small findings cost something too; their own tests count it.
    plan = world.plan(*([change] if change else []), "images.scan.roi=null")
    training, why = plan.shared.training, plan.shared.why
    flops, size = measure_step(world, plan)
    speed = replace(world.machine, precision=training.precision, fixed_threads=training.threads).speed
    said = re.search(r"a step of (\d+) samples needs about (\S+) s and (\S+) GiB", why["training.batch"])
    assert said is not None
    assert int(said[1]) == training.batch
    assert float(said[2]) == pytest.approx(flops / speed, rel=0.06)
    assert float(said[3]) == pytest.approx(size, rel=0.06)
    steps = training.epochs * training.steps_per_epoch
    told = re.search(r"(\d+) steps in all, about (\S+) (min|h)", why["training.epochs"])
    assert told is not None
    assert int(told[1]) == steps
    seconds = float(told[2]) * (60 if told[3] == "min" else 3600)
    assert seconds == pytest.approx(max(60, steps * training.accumulation * flops / speed), rel=0.06, abs=31)


@pytest.mark.parametrize(("name", "change"), CASES)
def test_reasons_name_the_numbers_of_the_final_plan(name: str, change: str) -> None:
    plan = WORLDS[name].plan(*([change] if change else []))
    image, why = plan.shared.images["scan"], plan.shared.why
    total = [prod(stride[axis] for stride in image.strides) for axis in range(image.dims)]
    for key in ("view", "patch"):
        for said in re.findall(r"total stride (\S+?)(?:;|$)", why[f"images.scan.{key}"]):
            assert said == format_sizes(total)
    if "channels in the first stage" in (widths := why["images.scan.widths"]):
        assert widths.startswith(f"{image.widths[0]} channels")
        assert f"up to {max(image.widths)}:" in widths
    if said := re.search(r"\((\S+) in the deepest stage", why["images.scan.strides"]):
        deepest = [n // t for n, t in zip(image.patch or image.view or (), total, strict=True)]
        assert said[1] == format_sizes(deepest)
    for key in ("spacing", "view_spacing"):
        if "set by hand" not in (reason := why[f"images.scan.{key}"]) and (value := getattr(image, key)):
            assert format_sizes(value) in reason or "same as `spacing`" in reason or "coarser than" in reason
    assert (image.field == "whole") == ("not used: the whole" in why["images.scan.patch"])
    assert why["images.scan.field"].startswith((image.field, "set by hand"))
    per_epoch = re.search(
        r"pass over (\d+) training samples, (\d+) at a time", why["training.steps_per_epoch"]
    )
    if per_epoch:
        assert int(per_epoch[2]) == plan.shared.training.batch * plan.shared.training.accumulation
        assert plan.shared.training.steps_per_epoch == -(-int(per_epoch[1]) // int(per_epoch[2]))


def test_a_spacing_by_hand_replans_view_and_network() -> None:
    """The whole view of a photo at half the resolution: other view, other strides, and the reasons name them."""
    head = header(
        inputs={"photo": {"kind": "image", "dims": 2, "channels": {"gray": "XR"}}},
        tasks={"grade": {"kind": "ordinal", "order": ["G1", "G2", "G3"]}},
    )
    cells = [{"photo.gray": f"{i}.png", "grade": f"G{1 + i % 3}"} for i in range(12)]
    cohort = cohort_of(head, cells)
    record = image_record((800, 600), channels=["gray"])
    found = Fingerprint(
        cases={
            f"s{i:02d}": CaseRecord(digest="0", subject=f"s{i:02d}", images={"photo": record}, voxels={})
            for i in range(12)
        }
    )

    def plan(*settings: str) -> Plan:
        return make_plan(cohort, found, one_fold(cohort), machine=LAPTOP, settings=settings)

    planned, changed = plan().shared, plan("images.photo.spacing=[4,4]").shared
    image = changed.images["photo"]
    assert planned.images["photo"].view != image.view
    assert image.spacing == image.view_spacing == (4.0, 4.0)
    assert image.view is not None
    assert [v - n for v, n in zip(image.view, (200, 150), strict=True)] < [64, 64], "200×150, padded"
    assert len(image.strides) < len(planned.images["photo"].strides)
    assert "200×150" in changed.why["images.photo.view"]
    assert "200×150" in changed.why["images.photo.field"]
    costs = [
        re.findall(r"a step of (\d+) samples needs about (\S+) s and", part.why["training.batch"])[0]
        for part in (planned, changed)
    ]
    before, after = (float(seconds) / int(samples) for samples, seconds in costs)
    assert after < before / 4
    assert changed.why["images.photo.spacing"] == "set by hand (was [1.423, 1.423])"


def test_a_patch_by_hand_makes_patches_of_a_whole_image() -> None:
    planned = WORLDS["whole"].plan("images.scan.patch=[48,56,48]").shared
    assert planned.images["scan"].field == "both"
    assert planned.images["scan"].patch == (48, 56, 48)
    assert planned.why["images.scan.field"] == "both: follows patch, set by hand"
    alone = World((96, 96, 96), MASKS).plan("images.scan.patch=[48,56,48]").shared.images["scan"]
    assert (alone.field, alone.view) == ("patch", None)


def test_the_measured_speed_follows_the_precision() -> None:
    """The probe ran in bf16, 1.9 times as fast as float32."""
    machine = replace(LAPTOP, measured_speed=76e9)
    world = World((48, 48, 48), MASKS | GRADE, machine)
    times = [
        float(re.findall(r"about (\S+) s and", plan.shared.why["training.batch"])[0])
        for plan in (
            world.plan("training.batch=8"),
            world.plan("training.batch=8", "training.precision=float32"),
        )
    ]
    assert times[1] / times[0] == pytest.approx(1.9, rel=0.1)


def test_crops_by_hand_cost_something() -> None:
    without, few, many = (
        WORLDS["both"].plan(f"images.scan.roi={roi}").shared
        for roi in ("null", "{attention: 2, places: 8}", "{attention: 16, places: 64}")
    )
    seconds = [
        re.findall(r"about (\S+) s and", shared.why["training.batch"])[0] for shared in (without, few, many)
    ]
    assert float(seconds[0]) < float(seconds[1]) < float(seconds[2])


def test_a_topology_by_hand_replans_network_and_patch() -> None:
    """A strided network sees a larger patch in the time of a step: at least half as many voxels again."""
    planned, strided = (
        World((256, 256, 160), MASKS).plan(f"images.scan.topology={name}").shared
        for name in ("full", "strided")
    )
    before, after = planned.images["scan"], strided.images["scan"]
    assert after.topology == "strided"
    assert after.strides[0] == (2, 2, 2)
    assert after.widths[:3] == (32, 64, 128)
    assert after.patch is not None
    assert before.patch is not None
    assert prod(after.patch) >= 1.5 * prod(before.patch)
    assert strided.why["images.scan.topology"].startswith("set by hand")
    assert planned.why["images.scan.topology"].endswith(
        "`strided`, which is set by hand, computes 48 % of it"
    )
    assert "strided" not in WORLDS["gpu"].plan().shared.why["images.scan.topology"]


@pytest.mark.parametrize("setting", ["strides=[[2,2,2],[2,2,2],[2,2,2]]", "widths=[8,32,64]"])
def test_a_topology_follows_strides_and_widths(setting: str) -> None:
    shared = WORLDS["whole"].plan(f"images.scan.{setting}").shared
    assert shared.images["scan"].topology is None
    assert shared.why["images.scan.topology"] == f"follows {setting.split('=')[0]}, set by hand"
    if setting.startswith("strides"):
        assert shared.images["scan"].widths == (32, 64, 128), "there is no stage at full resolution"
    ran = set_value(WORLDS["whole"].plan(), f"images.scan.widths={[8, 32, 64, 128, 256]}")
    assert ran.shared.images["scan"].topology is None
    assert ran.shared.why["images.scan.topology"] == "follows widths, set by hand"


def test_a_run_cannot_have_another_topology_than_its_plan() -> None:
    with pytest.raises(
        PolytaskError, match="'strided' does not fit widths and strides; `polytask plan --set`"
    ):
        set_value(WORLDS["whole"].plan(), "images.scan.topology=strided")


def test_an_image_that_is_too_small_cannot_begin_with_a_stride() -> None:
    with pytest.raises(
        PolytaskError, match="topology=strided: the image is too small for a network that begins"
    ):
        World((10, 10, 10), MASKS).plan("images.scan.topology=strided")


def test_more_stages_than_any_view_fits_end_the_search() -> None:
    """Strides of 64 in all need 256 voxels along each axis, more than the smallest view has."""
    image = WORLDS["both"].plan("images.scan.widths=[8,16,16,16,16,16,16]").shared.images["scan"]
    assert len(image.strides) == 7
    assert image.view == (256, 256, 256)


def test_the_axes_of_the_files_by_hand_replan_geometry_network_and_flips() -> None:
    """Files whose axes run up, back and left: 48 thick slices come first, the patient's side last."""
    planned, turned = (
        WORLDS["turned"].plan(*settings).shared for settings in ([], ["images.scan.orientation=none"])
    )
    before, after = planned.images["scan"], turned.images["scan"]
    assert (before.spacing, after.spacing) == ((0.8, 0.8, 3.0), (3.0, 0.8, 0.8))
    assert before.view is not None
    assert after.view == (before.view[2], before.view[1], before.view[0])
    assert after.patch is not None
    assert after.patch[0] == min(after.patch)
    assert after.strides[1][0] == before.strides[1][2] == 1, "the coarse axis is halved later"
    assert (planned.augmentation.flip, turned.augmentation.flip) == (
        (True, False, False),
        (False, False, True),
    )
    assert "left–right (axis 2)" in turned.why["augmentation.flip"]
    assert turned.why["images.scan.orientation"] == "set by hand (was RAS)"


@pytest.mark.parametrize(("tissue", "counts"), [(0.25, (16, 65)), (0.9, (6, 26))])
def test_tissue_by_hand_replans_the_patches(tissue: float, counts: tuple[int, int]) -> None:
    planned = WORLDS["slide"].plan().shared
    shared = WORLDS["slide"].plan(f"slides.biopsy.tissue={tissue}").shared
    slide = shared.slides["biopsy"]
    assert slide.tissue == tissue
    assert f"slides have {counts[0]} to {counts[1]} patches" in shared.why["slides.biopsy.patches"]
    assert "slides have 10 to 40 patches" in planned.why["slides.biopsy.patches"]
    assert slide.patches == min(64, counts[1])
    assert planned.slides["biopsy"].patches == 40
    few = WORLDS["slide"].plan("slides.biopsy.most=12").shared.slides["biopsy"]
    assert few.patches == 12, "no more are drawn than are stored"


def test_tissue_that_a_slide_does_not_have_is_refused() -> None:
    world = World((64, 64, 64), MASKS | GRADE, slides=[0] + [20] * 11)
    with pytest.raises(PolytaskError, match=r"tissue=0\.9: 1 of 12 slides have no patch with so much tissue"):
        world.plan("slides.biopsy.tissue=0.9")


def test_sgd_gets_the_rate_of_sgd() -> None:
    training = WORLDS["gpu"].plan("training.optimizer=sgd").shared.training
    assert (training.rate, training.weight_decay) == (0.01, 3e-5)
    kept = WORLDS["gpu"].plan("training.optimizer=sgd", "training.rate=0.1").shared.training
    assert (kept.rate, kept.weight_decay) == (0.1, 3e-5)


def test_hazards_follow_bins_set_by_hand(
    phantom: Cohort, phantom_print: Fingerprint, phantom_splits: Splits
) -> None:
    settings = ["folds.*.tasks.os.bins=[100,400]"]
    plan = make_plan(phantom, phantom_print, phantom_splits, machine=LAPTOP, settings=settings)
    for fold in plan.folds.values():
        assert fold.tasks["os"]["bins"] == [100.0, 400.0]
        assert len(fold.tasks["os"]["hazards"]) == 2
        assert fold.why["tasks.os.bins"].startswith("set by hand (was [")


def test_grades_that_are_not_balanced_are_not_drawn_on_purpose_either() -> None:
    world = World((96, 96, 96), GRADE)
    rows = [row | {"grade": "G3" if k == 0 else "G2" if k < 4 else "G1"} for k, row in enumerate(graded(12))]
    world.cohort = cohort_of(header(tasks=GRADE), rows)
    rare = world.plan().folds[0]
    assert rare.tasks["grade"]["drawn_shares"] != []
    off = world.plan("folds.*.tasks.grade.balanced=false").folds[0]
    assert (off.tasks["grade"]["balanced"], off.tasks["grade"]["drawn_shares"]) == (False, [])
    assert off.why["tasks.grade.drawn_shares"].endswith("because `balanced` is off")
    even = WORLDS["whole"].plan("folds.*.tasks.grade.balanced=true").folds[0]
    assert (even.tasks["grade"]["balanced"], even.tasks["grade"]["drawn_shares"]) == (True, [])


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("both", ["images.scan.patch=[80,80,80]", "images.scan.strides=[[1,1,1],[3,3,3]]"],
         r"scan.patch=.*scan.strides=.*\[80, 80, 80\] is not divisible by the total stride \[3, 3, 3\]"),
        ("both", ["images.scan.patch=[96,96,96]", "images.scan.view=[64,64,64]", "images.scan.view_spacing=[1,1,1]"],
         r"scan.patch=\[96,96,96\] images.scan.view=\[64,64,64\].*: a patch of 96×96×96 mm does not fit into the view"),
        ("both", ["images.scan.widths=[8,16]", "images.scan.blocks=[1,1,1]"],
         r"scan.widths=.*scan.blocks=.*different numbers of stages \(widths 2 and blocks 3\)"),
        ("whole", ["images.scan.field=whole", "images.scan.patch=[48,48,48]"],
         r"scan.field=whole images.scan.patch=.*: field whole has no patch"),
        ("whole", ["images.scan.spacing=[1,1,1]", "images.scan.view_spacing=[2,2,2]", "images.scan.field=whole"],
         r"scan.spacing=.*view_spacing=.*with field whole it must be the spacing of the image"),
        ("both", ["images.scan.field=patch"], r"scan.field=patch: 1 visit or subject tasks need the whole image"),
        ("coarser", ["images.scan.field=both"], r"scan.field=both: no voxel task reads patches of this image"),
        ("patch", ["images.scan.field=whole", "images.scan.view=null"], "field whole needs a view"),
        ("both", ["images.scan.patch=[50,50,50]"], r"scan.patch=.*not divisible by the total stride"),
        ("both", ["images.scan.patch=[80,80]"], "a 3D image needs 3"),
        ("both", ["images.scan.spacing=five"], r"shared.images.scan.spacing: 'five' is not valid"),
        ("both", ["images.scan.spacing=[0,1,1]"], "must be above 0"),
        ("both", ["images.scan.spacing.3=1"], "'3' is not an index"),
        ("both", ["images.scan.crop.margin=.nan"], "nan is not a margin"),
        ("both", ["images.scan.strides=[[4,4,4]]"], "1 or 2 in the first"),
        ("both", ["images.scan.topology=strided", "images.scan.strides=[[1,1,1],[2,2,2],[2,2,2]]"],
         r"scan.topology=strided images.scan.strides=.*: strides of another topology; leave one of them out"),
        ("both", ["images.scan.topology=narrow", "images.scan.widths=[16,32,64]"],
         r"scan.topology=narrow images.scan.widths=.*: widths of another topology; leave one of them out"),
        ("both", ["images.scan.topology=thin"], "'thin' is not valid"),
        ("both", ["images.scam.spacing=[1,1,1]"], "'scam' is not in shared.images; did you mean 'scan'"),
        ("both", ["images.scan.dims=2"], "change `dims` in cohort.yaml"),
        ("both", ["folds.0.tasks.grade.frequencies=[]"], "expected one number for each entry of classes"),
        ("both", ["images.scan.roi={attention: 2, size: [64,64]}"], r"roi=.*: roi.size: \[64, 64\] does not fit"),
        ("both", ["training.batch=0"], "0 is too small"),
        ("both", ["training.batch=yes"], "expected a number"),
        ("both", ["training.weights.grade=2", "training.balance.rule=equal"],
         r"weights.grade=2 training.balance.rule=equal: .*'equal' does not use training.weights"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(name: str, settings: list[str], said: str) -> None:
    with pytest.raises(PolytaskError, match=said) as caught:
        WORLDS[name].plan(*settings)
    assert "\n" not in str(caught.value)


def test_a_batch_far_beyond_the_memory_is_planned_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    plan = WORLDS["both"].plan("training.batch=200")
    assert plan.shared.training.batch == 200
    assert caplog.text.count("--set training.batch=200: a step of 200 samples needs about") == 1
    assert "more than the budget of 12 GiB; lower training.batch" in caplog.text
    caplog.clear()
    WORLDS["both"].plan("training.batch=2")
    assert caplog.text == ""
