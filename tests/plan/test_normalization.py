"""Intensities by modality, from the train part alone."""

from __future__ import annotations

import pytest

from polytask.plan.fingerprint_records import CaseRecord, Fingerprint, PlaneRecord
from polytask.plan.plan_schema import NormalizationPlan, Plan
from polytask.plan.planner import make_plan
from tests.plan.worlds import (
    LAPTOP,
    case_record,
    cohort_of,
    graded,
    header,
    image_record,
    one_fold,
    summary,
)

GRADE = {"grade": {"kind": "ordinal", "order": ["G1", "G2", "G3"]}}


def record(name: str, planes: list[PlaneRecord], zeros: float = 0.0) -> CaseRecord:
    """A case whose channel has these planes."""
    base = case_record(name, image_record((24, 24, 24), zeros=zeros))
    image = base.images["scan"].model_copy(update={"planes": {"ct": planes}})
    return base.model_copy(update={"images": {"scan": image}})


def plan_of(modality: str, planes: list[PlaneRecord], zeros: float = 0.0) -> Plan:
    """Twelve alike cases; the two held out are far off."""
    head = header(inputs={"scan": {"kind": "image", "channels": {"ct": modality}}}, tasks=GRADE)
    cohort = cohort_of(head, graded(12))
    odd = PlaneRecord(body=summary(9000, 9999), foreground=summary(9000, 9999))
    records = {
        f"s{i:02d}": record(f"s{i:02d}", planes if i < 10 else [odd] * len(planes), zeros) for i in range(12)
    }
    return make_plan(cohort, Fingerprint(cases=records), one_fold(cohort), machine=LAPTOP)


def rules_of(plan: Plan) -> list[NormalizationPlan]:
    """Of the only channel."""
    return plan.folds[0].normalization["scan"]["ct"]


def test_ct_is_clipped_and_scaled_by_the_foreground() -> None:
    plan = plan_of("CT", [PlaneRecord(body=summary(-1000, 1000), foreground=summary(0, 200))])
    (rule,) = rules_of(plan)
    assert rule.rule == "fixed"
    assert rule.lower == pytest.approx(1.0, abs=0.3)
    assert rule.upper == pytest.approx(199.0, abs=0.3)
    assert rule.mean == pytest.approx(100)
    assert rule.sd == pytest.approx(200 / 12**0.5, rel=1e-3)
    assert "known structures of 9 training images" in plan.folds[0].why["normalization.scan.ct"]


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0, 4095, "none below 0, are not Hounsfield units: stored numbers without their offset;"),
        (0, 1, "are not Hounsfield units: the CT was scaled;"),
        (-500, 1000, "Hounsfield units: clipped"),
    ],
)
def test_a_ct_on_another_scale_is_called_so(low: float, high: float, words: str) -> None:
    """By the whole body: the values of a liver are above 0 in Hounsfield units too."""
    plane = PlaneRecord(body=summary(low, high), foreground=summary(max(low, 0), high))
    assert words in plan_of("CT", [plane]).folds[0].why["normalization.scan.ct"]


def test_ct_without_masks_uses_the_body() -> None:
    (rule,) = rules_of(plan_of("CT", [PlaneRecord(body=summary(-1000, 1000), foreground=None)]))
    assert rule.lower == pytest.approx(-990, abs=1)
    assert rule.mean == pytest.approx(0)


@pytest.mark.parametrize(
    ("modality", "zeros", "nonzero"), [("MR", 0.6, True), ("MR", 0.1, False), ("XR", 0.0, False)]
)
def test_images_without_a_scale_use_their_own(modality: str, zeros: float, nonzero: bool) -> None:
    plane = PlaneRecord(body=summary(0, 500), foreground=None)
    assert rules_of(plan_of(modality, [plane], zeros)) == [NormalizationPlan(rule="image", nonzero=nonzero)]


def test_pet_is_clipped_above() -> None:
    (rule,) = rules_of(plan_of("PET", [PlaneRecord(body=summary(0, 40), foreground=None)]))
    assert (rule.lower, rule.upper) == (0.0, pytest.approx(39.8, abs=0.1))


def test_rgb_has_a_rule_per_plane() -> None:
    planes = [PlaneRecord(body=summary(0, top), foreground=None) for top in (100, 150, 200)]
    rules = rules_of(plan_of("RGB", planes))
    assert [r.mean for r in rules] == [50, 75, 100]
    assert {r.rule for r in rules} == {"fixed"}


def test_a_channel_no_training_image_has() -> None:
    head = header(inputs={"scan": {"kind": "image", "channels": {"ct": "CT", "pet": "PET"}}}, tasks=GRADE)
    cohort = cohort_of(head, graded(12))
    records = {f"s{i:02d}": case_record(f"s{i:02d}", image_record((24, 24, 24))) for i in range(12)}
    plan = make_plan(cohort, Fingerprint(cases=records), one_fold(cohort), machine=LAPTOP)
    assert plan.folds[0].normalization["scan"]["pet"] == [NormalizationPlan(rule="image")]
    assert "no training image" in plan.folds[0].why["normalization.scan.pet"]


def test_a_mask_is_read_as_it_stands() -> None:
    (rule,) = rules_of(plan_of("mask", [PlaneRecord(body=summary(0, 1), foreground=None)]))
    assert (rule.rule, rule.mean, rule.sd, rule.lower, rule.upper) == ("fixed", 0.0, 1.0, 0.0, 1.0)
