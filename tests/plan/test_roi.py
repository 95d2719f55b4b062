"""Crops for small findings: when the plan asks for them, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from polytask.errors import PolytaskError
from polytask.model.crop_reader import CropSpec
from polytask.plan.fingerprint_records import Fingerprint
from polytask.plan.machine import GIB
from polytask.plan.plan_schema import ImagePlan, Plan
from polytask.plan.plan_settings import set_value, set_values
from polytask.plan.planner import make_plan
from polytask.plan.roi_plan import RoiPlan, choose_fold_roi, compute_crop_size
from polytask.plan.rules.roi_rules import measure_pixel
from polytask.prepare.schema import make_batch_schema
from polytask.training.assemble import make_network_spec
from polytask.training.run_plan import plan_hash
from tests.plan.worlds import LAPTOP, cohort_of, graded, header, image_record, one_fold, prints
from tests.prepare.worlds import image_plan

GRADE = {"grade": {"kind": "ordinal", "order": ["G1", "G2", "G3"]}}
MASKS = {"tumour": {"kind": "segmentation", "image": "scan", "labels": {"tumour": 1}}}


def plan_of(
    edge: float,
    tasks: dict[str, Any] = MASKS | GRADE,
    size: int = 192,
    machine: Any = LAPTOP,
    held_out: float | None = None,
    settings: Sequence[str] = (),
) -> Plan:
    """Twelve subjects with images of `size`³ voxels of 1 mm, and findings whose box has this edge in mm; those of the
    tune and held-out subjects may have another one."""
    cohort = cohort_of(header(tasks=tasks), graded(12))
    splits, made = one_fold(cohort), prints([(size,) * 3] * 12)
    cases = {}
    for key, case in made.cases.items():
        own = edge if held_out is None or case.subject in splits.folds[0].train else held_out
        voxels = {
            task: record.model_copy(update={"sizes": dict.fromkeys(record.sizes, (own,) * 3)})
            for task, record in case.voxels.items()
        }
        cases[key] = case.model_copy(update={"voxels": voxels})
    return make_plan(cohort, Fingerprint(cases=cases), splits, machine=machine, settings=settings)


def fold_roi(plan: Plan) -> RoiPlan | None:
    return choose_fold_roi(scan(plan), plan.folds[0].finding_sizes.get("scan", {}))


def scan(plan: Plan) -> ImagePlan:
    return plan.shared.images["scan"]


def test_findings_too_small_for_the_view_are_read_in_crops() -> None:
    plan = plan_of(6)
    image, why = scan(plan), plan.shared.why["images.scan.roi"]
    assert image.view_spacing is not None
    assert image.roi == RoiPlan(below=8, crops=2, places=8, size=compute_crop_size(image))
    assert fold_roi(plan) == RoiPlan(task="tumour", crops=2, places=8, size=compute_crop_size(image))
    small = f"{6 / image.view_spacing[0]:.2g} voxels in the whole view"
    assert f"findings of tumour have a median edge of {small}" in plan.folds[0].why["finding_sizes.scan"]
    assert "2 crops" in why
    total = [n // 4 for n in compute_crop_size(image)]
    assert all(n % t == 0 for n, t in zip(scan(plan).patch or (), total, strict=True))


def test_large_findings_are_read_in_the_view() -> None:
    plan = plan_of(60)
    assert fold_roi(plan) is None
    assert "read no crops" in plan.folds[0].why["finding_sizes.scan"]
    spacing = scan(plan).view_spacing
    assert spacing is not None
    assert plan.folds[0].finding_sizes == {"scan": {"tumour": pytest.approx(60 / spacing[0], rel=1e-3)}}


@pytest.mark.parametrize(
    ("edge", "tasks", "size", "reason"),
    [
        (6, MASKS | GRADE, 64, "none: visit and subject tasks see the image as finely as it is stored"),
        (6, MASKS, 192, "none: no visit or subject task reads this image"),
        (6, GRADE, 192, "none: visit and subject tasks see the image as finely as it is stored"),
    ],
)
def test_without_small_findings_there_are_no_crops(
    edge: float, tasks: dict[str, Any], size: int, reason: str
) -> None:
    plan = plan_of(edge, tasks, size)
    assert scan(plan).roi is None
    assert plan.folds[0].finding_sizes == {}
    assert plan.shared.why["images.scan.roi"].startswith(reason)


@pytest.mark.parametrize(("edge", "held_out"), [(6, 60), (60, 6)])
def test_masks_of_held_out_subjects_change_nothing_that_a_fold_trains_with(
    edge: float, held_out: float
) -> None:
    plan, other = plan_of(edge), plan_of(edge, held_out=held_out)
    assert plan == other
    assert plan_hash(plan, 0) == plan_hash(other, 0)


def test_findings_decide_by_fold_unless_the_source_is_named() -> None:
    settings = ("images.scan.roi={task: tumour, crops: 1}",)
    for plan in (plan_of(60, settings=settings), set_value(plan_of(60), settings[0])):
        assert fold_roi(plan) == RoiPlan(task="tumour", crops=1)
    assert plan_of(60, settings=settings).folds[0].finding_sizes == {}
    wide = set_value(plan_of(60), "images.scan.roi.below=100")
    assert fold_roi(wide) is not None
    edges = {"tumour": 3.0, "node": 2.5}
    chosen = choose_fold_roi(scan(plan_of(60)), edges)
    assert chosen is not None
    assert chosen.task == "node", "the smallest findings choose"


def test_a_fold_with_large_findings_trains_without_crops() -> None:
    head = header(tasks=MASKS | GRADE)
    small, large = plan_of(6), plan_of(60)
    assert make_network_spec(small, small.folds[0], head).crops == {"scan": CropSpec(2, "tumour")}
    assert make_network_spec(large, large.folds[0], head).crops == {}
    cohort = cohort_of(head, graded(12))
    assert make_batch_schema(cohort, small, small.folds[0]).crops == ("scan",)
    assert make_batch_schema(cohort, large, large.folds[0]).crops == ()


def test_crops_that_do_not_fit_into_memory_are_left_out() -> None:
    tight = plan_of(6, machine=replace(LAPTOP, memory=GIB // 4))
    if scan(tight).field == "both":
        assert scan(tight).roi is None
        assert "do not fit into memory" in tight.shared.why["images.scan.roi"]


def test_a_plan_from_before_has_no_crops() -> None:
    content = plan_of(60).model_dump(mode="json")
    del content["shared"]["images"]["scan"]["roi"], content["folds"]["0"]["finding_sizes"]
    assert scan(Plan.parse(content, "plan.yaml")).roi is None


def test_crops_of_an_earlier_plan_are_read_by_the_deepest_stage_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan, head = set_value(plan_of(60), "images.scan.roi={attention: 8}"), header(tasks=MASKS | GRADE)
    assert make_network_spec(plan, plan.folds[0], head).crops["scan"].every_stage
    assert not make_network_spec(plan_of(6), plan_of(6).folds[0], head).crops["scan"].every_stage
    again = Plan.parse(plan.model_dump(mode="json"), "plan.yaml")
    assert again == plan
    content = plan.model_dump(mode="json")
    assert content["shared"]["images"]["scan"]["roi"].pop("stages") == "every"
    earlier = Plan.parse(content, "plan.yaml")
    assert scan(earlier).roi == RoiPlan(attention=8, stages="deepest")
    assert not make_network_spec(earlier, earlier.folds[0], head).crops["scan"].every_stage
    assert plan_hash(earlier, 0) != plan_hash(plan, 0)
    hashed: list[Any] = []

    def keep(value: Any, **_: Any) -> str:
        hashed.append(value)
        return ""

    monkeypatch.setattr("polytask.training.run_plan.json.dumps", keep)
    plan_hash(earlier, 0)
    # What was hashed before `stages` and `below` existed, so that a run of then keeps its hash.
    names = ("task", "column", "crops", "places", "size")
    assert hashed[0][0]["images"]["scan"]["roi"] == {"attention": 8, **dict.fromkeys(names)}


def test_findings_and_their_surroundings_are_asked_for_and_cost_twice_the_passes() -> None:
    head, plain = header(tasks=MASKS | GRADE), plan_of(60, settings=("images.scan.roi={task: tumour}",))
    both = plan_of(60, settings=("images.scan.roi={task: tumour, surroundings: true}",))
    flags = len(scan(both).channels) if scan(both).channel_flags else 0
    assert make_network_spec(both, both.folds[0], head).crops == {
        "scan": CropSpec(4, "tumour", surroundings=True, flags=flags)
    }
    assert plan_hash(both, 0) != plan_hash(plain, 0)
    again = set_value(both, "images.scan.roi.surroundings=false")
    assert scan(again) == scan(plain)
    small = set_value(plan_of(6), "images.scan.roi.surroundings=true")
    chosen = choose_fold_roi(scan(small), {"tumour": 2.0})
    assert chosen is not None
    assert (chosen.task, chosen.surroundings) == ("tumour", True), "each fold says whose masks"
    assert both.shared.training.batch <= plain.shared.training.batch
    with pytest.raises(
        PolytaskError, match=r"roi\.surroundings: only masks tell a finding from its surroundings"
    ):
        set_value(plain, "images.scan.roi={attention: 8, surroundings: true}")


def test_crops_can_be_asked_for() -> None:
    plan = set_value(plan_of(60), "images.scan.roi={attention: 8}")
    assert scan(plan).roi == RoiPlan(attention=8)
    assert "set by hand" in plan.shared.why["images.scan.roi"]
    assert scan(set_value(plan_of(6), "images.scan.roi=null")).roi is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["images.scan.roi={}"], "names none; expected exactly one of attention, task, column, below"),
        (["images.scan.roi={attention: 4, task: tumour}"], "names attention and task"),
        (["images.scan.roi={attention: 0}"], "expected 1 to 1024"),
        (["images.scan.roi={attention: 4, crops: 2}"], "attention already says how many"),
        (["images.scan.roi={attention: 4, places: 3}"], "3 places; expected at least 4"),
        (["images.scan.roi={below: 0}"], "0 voxels; expected a size above 0"),
        (["images.scan.roi={task: tumor}"], "'tumor' is not a task"),
        (["images.scan.roi={task: grade}"], "'grade' has no masks"),
        (["images.scan.roi={attention: 8, size: [9, 9, 9]}"], "multiples of the total stride"),
        (["images.scan.roi={atention: 8}"], "unknown name, did you mean .attention."),
        (["images.scan.roi=yes"], "roi"),
    ],
)
def test_crops_that_cannot_be_are_refused_in_one_line(changes: Sequence[str], words: str) -> None:
    with pytest.raises(PolytaskError, match=words) as caught:
        set_values(plan_of(60), changes)
    assert "\n" not in str(caught.value)


def test_sizes_of_findings_are_measured_when_planning() -> None:
    by_hand = plan_of(6, settings=("images.scan.roi={task: tumour}",))
    with pytest.raises(PolytaskError, match=r"roi\.below: fold 0 does not say how large findings are"):
        set_value(by_hand, "images.scan.roi={below: 8}")
    asked = plan_of(6, settings=("images.scan.roi={below: 1}",))
    assert asked.folds[0].finding_sizes["scan"]["tumour"] > 1
    assert fold_roi(asked) is None


def test_crops_cost_what_the_visits_of_the_tasks_that_read_them_cost() -> None:
    """Masks are asked at all three visits, but read no crops; the response reads one visit, or all."""
    added = []
    for visits in (["a"], ["a", "b", "c"]):
        head = header(
            visits=["a", "b", "c"],
            tasks=MASKS | {"response": {"kind": "classification", "level": "subject", "classes": ["no", "yes"],
                                        "visits": visits}},
        )  # fmt: skip
        cells = [
            {
                "subject": f"s{i:02d}",
                "visit": v,
                "scan.ct": "x.nii.gz",
                "tumour": "m.nii.gz",
                "response": answer,
            }
            for i in range(12)
            for v, answer in zip("abc", ["yes" if i % 2 else "no"] * 3, strict=True)
        ]
        cohort, single = cohort_of(head, cells), prints([(192,) * 3] * 12).cases
        found = Fingerprint(cases={f"{k}@{v}": record for k, record in single.items() for v in "abc"})
        seconds = []
        for roi in ("null", "{attention: 4, places: 8}"):
            settings = ["images.scan.field=both", "training.batch=2", f"images.scan.roi={roi}"]
            plan = make_plan(cohort, found, one_fold(cohort), machine=LAPTOP, settings=settings)
            said = re.search(r"about (\S+) s and", plan.shared.why["training.batch"])
            assert said is not None
            seconds.append(float(said[1]))
        added.append(seconds[1] - seconds[0])
    assert added[1] == pytest.approx(3 * added[0], rel=0.25), "announced with two digits"


def test_an_image_seen_whole_has_nothing_finer_to_crop() -> None:
    with pytest.raises(PolytaskError, match="field whole keeps no image that is finer than the view"):
        set_value(plan_of(6, size=64), "images.scan.roi={attention: 8}")


def test_findings_of_a_resized_photo_are_measured_in_its_new_pixels() -> None:
    """Of a photo twice as large as the size that all are brought to, one pixel of the plan is two of the file."""
    image = image_plan(dims=2, unit="px", resize=(1500, 1000), spacing=(1.0, 1.0))
    assert measure_pixel(image_record((3000, 2000)), image) == (2.0, 2.0)
    assert measure_pixel(image_record((750, 400)), image) == (0.5, 0.5)
    assert measure_pixel(image_record((750, 400)), image.model_copy(update={"resize": None})) == (1.0, 1.0)
    assert measure_pixel(image_record((9, 9), (0.2, 0.2)), image.model_copy(update={"unit": "mm"})) == (
        1.0,
        1.0,
    )
