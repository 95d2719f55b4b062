"""The measured memory of a step, of plans for cohorts that have a header and measurements, but no files."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from polytask.cohort.header import Header
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_values
from polytask.plan.planner import make_plan
from polytask.plan.step_memory import predict_step_memory
from polytask.training.measured_memory import make_random_inputs, measure_step_memory
from tests.plan.worlds import LAPTOP, cohort_of, graded, header, one_fold, prints

GRADE = {"kind": "ordinal", "order": ["G1", "G2", "G3"]}
LABELS = {"labels": {"tumour": 1}}
STRUCTURES = {"structures": ["tumour"]}


def make_world(mask: dict[str, Any], size: tuple[int, ...], *changes: str) -> tuple[Plan, Header]:
    """The plan of a mask and a grade, and the header."""
    scan = {"kind": "image", "channels": {"ct": "CT"}, "dims": len(size)}
    tasks = {"tumour": {"kind": "segmentation", "image": "scan", **mask}, "grade": GRADE}
    cells = [
        {"tumour.tumour" if key == "tumour" and "structures" in mask else key: v for key, v in row.items()}
        for row in graded(12)
    ]
    cohort = cohort_of(header(inputs={"scan": scan}, tasks=tasks), cells)
    plan = make_plan(cohort, prints([size] * 12), one_fold(cohort), machine=LAPTOP)
    return set_values(plan, ["training.precision=float32", *changes]), cohort.header


@pytest.mark.parametrize("mask", [LABELS, STRUCTURES], ids=["labels", "structures"])
def test_what_a_step_keeps_is_what_its_plan_predicts(mask: dict[str, Any]) -> None:
    plan, head = make_world(mask, (64, 48), "training.batch=3")
    measured = measure_step_memory(plan, head)
    assert predict_step_memory(plan, head).kept == pytest.approx(measured, rel=0.06)


def test_random_images_have_the_sizes_of_the_plan() -> None:
    plan, _ = make_world(
        LABELS,
        (64, 64, 48),
        "training.batch=2",
        "images.scan.field=both",
        "images.scan.view=[64,48,56]",
        "images.scan.view_spacing=[1,1,1]",
        "images.scan.patch=[48,64,48]",
        "images.scan.patches=3",
    )
    inputs = make_random_inputs(plan, torch.device("cpu"))
    # Two subjects with one visit each and one channel.
    assert inputs.whole["scan"].shape == (2, 1, 1, 64, 48, 56)
    assert inputs.patch["scan"].shape == (2, 1, 3, 1, 48, 64, 48)
    assert inputs.day.shape == (2, 1)
