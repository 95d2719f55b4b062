"""The plan of a run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from polytask.errors import PolytaskError
from polytask.plan.plan_schema import Plan
from polytask.training.cohort_folder import find_cohort_folder
from polytask.training.run_plan import choose_fold_tasks, make_run_plan, plan_hash, require_member
from polytask.training.run_request import RunRequest


def test_members_of_a_registry_are_chosen_by_name() -> None:
    require_member("balance", "equal")
    require_member("sharing", "hard")
    with pytest.raises(PolytaskError, match="--balance upgrd: did you mean 'upgrad'"):
        require_member("balance", "upgrd")


def test_the_cohort_lies_relative_to_the_work_folder(tmp_path: Path) -> None:
    (tmp_path / "cohort").mkdir()
    plan: Any = SimpleNamespace(cohort="../cohort")
    assert find_cohort_folder(tmp_path / "work", plan) == (tmp_path / "cohort").resolve()
    lost: Any = SimpleNamespace(cohort="../other")
    with pytest.raises(PolytaskError, match="the cohort of the plan is not there") as raised:
        find_cohort_folder(tmp_path / "work", lost)
    assert f"{tmp_path / 'work' / 'plan.yaml'}" in str(raised.value)
    with pytest.raises(PolytaskError) as raised:
        find_cohort_folder(tmp_path / "work", lost, tmp_path / "run")
    assert str(raised.value).endswith(f"{tmp_path / 'run' / 'plan.yaml'}")


@pytest.mark.parametrize(
    ("request_", "form", "decoder"),
    [
        (RunRequest(sharing="mtan"), "paper", "private"),
        (RunRequest(sharing="mtan_light"), "light", "private"),
        (RunRequest(preset="ctan"), "paper", "private"),
        (RunRequest(preset="ctan", sharing="hard"), "light", "private"),
        (RunRequest(preset="ctan", sharing="mtan_light"), "light", "private"),
        (RunRequest(sharing="mtan", overrides=("model.form=light",)), "light", "private"),
        (RunRequest(overrides=("model.sharing=mtan",)), "light", "private"),
    ],
)
def test_a_name_chooses_block_and_form(prepared: Path, request_: RunRequest, form: str, decoder: str) -> None:
    model = make_run_plan(prepared, request_).shared.model
    assert (model.form, model.decoder) == (form, decoder)
    assert model.sharing in ("mtan", "ctan", "hard")


def test_a_name_that_no_block_has_is_refused(prepared: Path) -> None:
    with pytest.raises(PolytaskError, match="--sharing mtan_lihgt: did you mean"):
        make_run_plan(prepared, RunRequest(sharing="mtan_lihgt"))
    with pytest.raises(PolytaskError, match=r"two values: model\.sharing=mtan and model\.form=light"):
        make_run_plan(prepared, RunRequest(overrides=("model.sharing=mtan_light",)))


EARLY_PLAN: dict[str, Any] = {
    "cohort": "cohort",
    "digest": "d",
    "shared": {
        "max_visits": 1,
        "images": {
            "scan": {
                "dims": 3,
                "channels": {"ct": "CT"},
                "orientation": "RAS",
                "crop": {},
                "spacing": [1, 1, 4],
                "field": "whole",
                "view": [16, 16, 8],
                "view_spacing": [1, 1, 4],
                "patch": None,
                "patches": 1,
                "widths": [8, 16],
                "blocks": [1, 1],
                "strides": [[1, 1, 1], [2, 2, 1]],
                "foreground": 0,
                "channel_flags": False,
                "channel_dropout": 0,
            }
        },
        "augmentation": {"flip": [True, False, False]},
        "model": {},
        "training": {
            "batch": 2,
            "epochs": 1,
            "steps_per_epoch": 1,
            "precision": "float32",
            "threads": 1,
            "workers": 0,
        },
        "why": {},
    },
    "folds": {0: {"normalization": {}, "tables": {}, "tasks": {}, "why": {}}},
}
EARLY_HASH = "b9c95148cfcf8c6d22668bf105c9a265296a6385c2572a7ae6c80808b38c64f8"
"""The hash of this plan as it was computed before plans had `flip_2d`, `kernels` and `resize`."""


def test_runs_of_earlier_versions_keep_their_hash() -> None:
    """A value that they did not have counts only once it is set."""
    plan = Plan.parse(EARLY_PLAN, "plan")
    assert plan_hash(plan, 0) == EARLY_HASH
    for image in plan.shared.images.values():
        image.topology = "full"
    assert plan_hash(plan, 0) == EARLY_HASH, "the name of a topology decides nothing; strides and widths do"
    plan.shared.augmentation.flip_2d = (True, False)
    assert plan_hash(plan, 0) != EARLY_HASH


def test_a_task_that_a_fold_cannot_train_is_refused_with_its_reason(prepared: Path) -> None:
    plan = Plan.read(prepared)
    part = plan.folds[0]
    part.untrained = {"grade": "class G3 does not occur"}
    del part.tasks["grade"]
    assert choose_fold_tasks(plan, 0, None) == list(part.tasks)
    assert choose_fold_tasks(plan, 0, ["os", "grade"]) == ["os"]
    with pytest.raises(PolytaskError, match="fold 0 cannot train 'grade': class G3 does not occur"):
        choose_fold_tasks(plan, 0, ["grade"])


def test_the_unit_of_distances_of_masks_decides_no_weight_and_that_of_a_number_does(prepared: Path) -> None:
    hashes = []
    for task in ("lesion", "diameter", ""):
        plan = Plan.read(prepared)
        if task:
            plan.folds[0].tasks[task]["unit"] = "furlong"
        hashes.append(plan_hash(plan, 0))
    assert hashes[0] == hashes[2] != hashes[1]
