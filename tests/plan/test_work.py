"""From a cohort's folder to a work folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.nnunet_splits import write_nnunet
from polytask.cohort.splits import Splits
from polytask.errors import PolytaskError
from polytask.plan import read_plan
from polytask.plan.records import Fingerprint
from polytask.plan.work import plan_into
from tests.plan.worlds import LAPTOP


def test_three_files(phantom_folder: Path, phantom_print: Fingerprint, tmp_path: Path) -> None:
    done = plan_into(phantom_folder, tmp_path / "w", folds=3, machine=LAPTOP, settings=["training.epochs=4"])
    assert sorted(p.name for p in (tmp_path / "w").iterdir()) == [
        "fingerprint.json",
        "plan.yaml",
        "splits.json",
    ]
    assert read_plan(tmp_path / "w").shared.training.epochs == 4
    assert Splits.read(tmp_path / "w" / "splits.json") == done.splits
    assert Fingerprint.read(tmp_path / "w") == phantom_print


def test_planning_again_keeps_the_bytes_and_an_edited_plan(phantom_folder: Path, tmp_path: Path) -> None:
    plan_into(phantom_folder, tmp_path, folds=3, machine=LAPTOP)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert not plan_into(phantom_folder, tmp_path, folds=3, machine=LAPTOP).kept_old
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    edited = before["plan.yaml"].replace(b"rate: 0.001", b"rate: 0.002")
    (tmp_path / "plan.yaml").write_bytes(edited)
    assert plan_into(phantom_folder, tmp_path, folds=3, machine=LAPTOP).kept_old
    assert (tmp_path / "plan.yaml.old").read_bytes() == edited
    assert (tmp_path / "plan.yaml").read_bytes() == before["plan.yaml"]


def test_splits_of_both_forms(
    phantom_folder: Path, phantom: Cohort, phantom_splits: Splits, tmp_path: Path
) -> None:
    phantom_splits.write(tmp_path / "own.json")
    write_nnunet(phantom_splits, phantom, tmp_path / "splits_final.json")
    own = plan_into(phantom_folder, tmp_path / "a", splits=tmp_path / "own.json", machine=LAPTOP)
    assert own.splits == phantom_splits
    theirs = plan_into(phantom_folder, tmp_path / "b", splits=tmp_path / "splits_final.json", machine=LAPTOP)
    assert [set(f.held_out) for f in theirs.splits.folds] == [set(f.held_out) for f in phantom_splits.folds]


def test_splits_of_others_are_refused(
    phantom_folder: Path, phantom: Cohort, phantom_splits: Splits, tmp_path: Path
) -> None:
    phantom_splits.write(tmp_path / "own.json")
    content = json.loads((tmp_path / "own.json").read_text())
    for name, said in (
        (phantom.in_split("test")[0], "is a test subject"),
        ("nobody", "is not in the cohort"),
    ):
        changed = json.loads(json.dumps(content))
        changed["folds"][0]["train"].append(name)
        (tmp_path / "odd.json").write_text(json.dumps(changed))
        with pytest.raises(PolytaskError, match=f"subject {name} {said}"):
            plan_into(phantom_folder, tmp_path / "w", splits=tmp_path / "odd.json", machine=LAPTOP)
    assert not (tmp_path / "w").exists(), "nothing half written"


def test_a_work_folder_that_is_a_file(phantom_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "w").write_text("")
    with pytest.raises(PolytaskError, match="cannot be written"):
        plan_into(phantom_folder, tmp_path / "w", folds=3, machine=LAPTOP)
