"""`--set`: typed, checked, explained, and what follows from it follows."""

from __future__ import annotations

import pytest

from polytask.errors import PolytaskError
from polytask.kinds.constant_losses import find_classification_constant
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_value, set_values
from polytask.plan.planner import make_plan
from tests.plan.worlds import LAPTOP, cohort_of, graded, header, one_fold, prints

WHEN = " when the other values were planned"
"""A plan that exists keeps its other values and their reasons."""


@pytest.fixture(scope="module")
def both() -> Plan:
    """A plan with view and patches: 192³."""
    cohort = cohort_of(header(), graded(12))
    return make_plan(cohort, prints([(192, 192, 192)] * 12), one_fold(cohort), machine=LAPTOP)


def test_shared_is_implied(phantom_plan: Plan) -> None:
    before = phantom_plan.shared.training.epochs
    found = set_value(phantom_plan, "training.epochs=4")
    assert found.shared.training.epochs == 4
    assert found == set_value(phantom_plan, "shared.training.epochs=4")
    assert found.shared.why["training.epochs"] == f"set by hand (was {before}{WHEN})"
    assert phantom_plan.shared.training.epochs == before, "the plan given is left alone"


@pytest.mark.parametrize(
    ("text", "value"),
    [("training.rate=1e-4", 1e-4), ("training.rate=0.01", 0.01), ("training.rate=1", 1.0)],
)
def test_numbers_as_people_write_them(phantom_plan: Plan, text: str, value: float) -> None:
    assert set_value(phantom_plan, text).shared.training.rate == pytest.approx(value)


def test_lists_and_folds(both: Plan, phantom_plan: Plan) -> None:
    found = set_value(both, "images.scan.patch=[80,80,80]")
    assert found.shared.images["scan"].patch == (80, 80, 80)
    assert found.shared.why["images.scan.patch"] == f"set by hand (was [64, 64, 64]{WHEN})"
    one = set_value(phantom_plan, "folds.0.tasks.os.loss=hazard")
    assert [fold.tasks["os"]["loss"] for fold in one.folds.values()] == ["hazard", "cox", "cox"]
    assert one.folds[0].why["tasks.os.loss"] == f"set by hand (was cox{WHEN})"
    every = set_value(phantom_plan, "folds.*.tasks.os.loss=hazard")
    assert [fold.tasks["os"]["loss"] for fold in every.folds.values()] == ["hazard"] * 3


def test_values_inside_lists_and_free_names(phantom_plan: Plan) -> None:
    assert set_value(phantom_plan, "folds.0.normalization.scan.ct.0.upper=300").folds[0].normalization[
        "scan"
    ]["ct"][0].upper == pytest.approx(300)
    found = set_value(phantom_plan, "training.require_every.response=4")
    assert found.shared.training.require_every == {"response": 4}
    with pytest.raises(PolytaskError, match=r"'responce' is not in .*did you mean 'response'"):
        set_value(phantom_plan, "training.require_every.responce=4")


def test_a_chain_is_checked(phantom_plan: Plan) -> None:
    found = set_value(phantom_plan, "model.after.os=[grade]")
    assert found.shared.model.after == {"os": ["grade"]}
    with pytest.raises(PolytaskError, match=r"'grad' is not a task; did you mean 'grade'"):
        set_value(phantom_plan, "model.after.os=[grad]")
    with pytest.raises(PolytaskError, match="a cycle: os → grade → os"):
        set_values(phantom_plan, ["model.after.os=[grade]", "model.after.grade=[os]"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("training.epoch=4", "'epoch' is not in shared.training; did you mean 'epochs'"),
        ("trainings.epochs=4", "'trainings' is not in shared; did you mean 'training'"),
        ("folds.7.tasks.os.loss=cox", "'7' is not in folds"),
        ("folds.0.tasks.oss.loss=cox", "did you mean 'os'"),
        ("folds.0.tasks.os.los=cox", "did you mean 'loss'"),
        ("folds.0.tasks.os.loss=coks", "'coks' is not valid, input should be 'cox' or 'hazard'"),
        ("training.epochs=four", "'four' is not valid, input should be a valid integer"),
        ("training.epochs=yes", "expected a number"),
        ("training.epochs=0", "shared.training.epochs: 0 is too small"),
        ("training.epochs", "expected name=value"),
        ("training=4", "is a section; name a value in it"),
        ("training.epochs.more=4", "is a single value"),
        ("images.scan.strides.9.0=2", "is not an index"),
        (
            "images.scan.view=[50,50,50]",
            r"is not divisible by the total stride \[4, 4, 4\]; use \[48, 48, 48\]",
        ),
        ("images.scan.view=[8,8,8]", "leaves .* positions at the deepest stage, fewer than 3"),
        ("images.scan.view=[24,24]", "a 3D image needs 3"),
        ("images.scan.patch=[24,24,24]", "field whole does not use it"),
        ("images.scan.field=both", "field both needs it"),
        ("images.scan.widths=[16,32]", "expected the same number in each"),
        ("images.scan.kernels=[[1,3,3]]", "kernels: expected 3 numbers, each 1 or 3, for each of"),
        ("images.scan.kernels=[[1,3,3],[1,3,3],[1,3,3]]", "kernels: a kernel of 1 skips voxels at stride"),
        ("images.scan.resize=[24,24,24]", "resize: only images whose unit is px are resized"),
        ("images.scan.crop.rule=box", "crop.column: the rule box needs the name of a table column"),
        ("images.scan.channel_dropout=1", "must be a share from 0 to below 1"),
        ("folds.0.tasks.grade.frequencies=[0.5,0.5]", "expected one number for each entry of classes"),
        ("digest=1", "cannot be set"),
        ("training.why=x", "cannot be set"),
        ("training.epochs=[1", "cannot be read"),
    ],
)
def test_what_cannot_be_is_refused(phantom_plan: Plan, text: str, said: str) -> None:
    with pytest.raises(PolytaskError, match=said) as caught:
        set_value(phantom_plan, text)
    assert "--set" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_several_values_are_checked_together(phantom_plan: Plan) -> None:
    found = set_values(
        phantom_plan,
        ["images.scan.field=both", "images.scan.patch=[16,16,16]", "images.scan.view_spacing=[8,8,8]"],
    )
    assert found.shared.images["scan"].field == "both"


def test_a_whole_view_follows_its_spacing(phantom_plan: Plan) -> None:
    image = phantom_plan.shared.images["scan"]
    assert image.view is not None
    half = [s * 2 for s in image.spacing]
    found = set_value(phantom_plan, f"images.scan.spacing={half}").shared
    assert found.images["scan"].view_spacing == tuple(half)
    assert found.images["scan"].view == tuple(max(16, v // 2) for v in image.view)
    assert "follows spacing" in found.why["images.scan.view"]


def test_a_constant_follows_its_task(phantom_plan: Plan) -> None:
    found = set_value(phantom_plan, "folds.0.tasks.response.balanced=true").folds[0]
    frequencies = found.tasks["response"]["frequencies"]
    assert found.tasks["response"]["constant"] == pytest.approx(
        find_classification_constant(frequencies, True), rel=1e-4
    )
    hazard = set_value(phantom_plan, "folds.0.tasks.os.loss=hazard").folds[0]
    assert hazard.tasks["os"]["constant"] != phantom_plan.folds[0].tasks["os"]["constant"]
    assert "follows loss" in hazard.why["tasks.os.constant"]
    kept = set_values(phantom_plan, ["folds.0.tasks.os.loss=hazard", "folds.0.tasks.os.constant=2"]).folds[0]
    assert kept.tasks["os"]["constant"] == 2.0


def test_a_box_column_can_be_named(phantom_plan: Plan) -> None:
    found = set_values(phantom_plan, ["images.scan.crop.rule=box", "images.scan.crop.column=roi"])
    assert found.shared.images["scan"].crop.column == "roi"


def test_every_fold_means_those_that_train_the_task(phantom_plan: Plan) -> None:
    """A fold that holds out a site may train without one of its tasks."""
    content = phantom_plan.model_copy(deep=True)
    del content.folds[1].tasks["os"]
    content.folds[1].untrained["os"] = "nobody"
    changed = set_value(content, "folds.*.tasks.os.loss=hazard")
    assert [changed.folds[k].tasks["os"]["loss"] for k in (0, 2)] == ["hazard", "hazard"]
    with pytest.raises(PolytaskError, match="is written by `polytask plan` and cannot be set"):
        set_value(content, "folds.1.untrained={}")
    with pytest.raises(PolytaskError, match="is written by `polytask plan` and cannot be set"):
        set_value(content, "warnings=[]")
