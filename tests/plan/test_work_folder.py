"""From a cohort's folder to a work folder."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.nnunet_splits import write_nnunet_splits
from polytask.cohort.splits import Splits
from polytask.errors import PolytaskError
from polytask.locks import LockedError, hold_lock
from polytask.plan import Plan
from polytask.plan.fingerprint_records import Fingerprint
from polytask.plan.work_folder import PLAN_LOCK_FILE, plan_into
from tests.plan.worlds import LAPTOP


def test_three_files(phantom_folder: Path, phantom_print: Fingerprint, tmp_path: Path) -> None:
    done = plan_into(phantom_folder, tmp_path / "w", folds=3, machine=LAPTOP, settings=["training.epochs=4"])
    assert sorted(p.name for p in (tmp_path / "w").iterdir()) == [
        "fingerprint.json",
        "plan.yaml",
        "planned-for.json",
        "splits.json",
    ]
    assert Plan.read(tmp_path / "w").shared.training.epochs == 4
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
    write_nnunet_splits(phantom_splits, phantom, tmp_path / "splits_final.json")
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
        (phantom.list_split_subjects("test")[0], "is a test subject"),
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


class Killed(BaseException):
    """Stands for SIGKILL."""


def test_a_kill_leaves_no_plan_beside_splits_of_another(
    phantom_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at any rename or removal, plan and splits are both the old ones, or the new ones, or there is no plan."""
    plan_into(phantom_folder, tmp_path / "w", folds=3, machine=LAPTOP)
    plan_into(phantom_folder, tmp_path / "n", folds=2, machine=LAPTOP)

    def pair(work: Path) -> tuple[bytes, bytes]:
        return (work / "plan.yaml").read_bytes(), (work / "splits.json").read_bytes()

    old, new = pair(tmp_path / "w"), pair(tmp_path / "n")
    seen: set[tuple[bytes, bytes]] = set()
    gone: list[Path] = []
    for survived in range(2, 9):
        shutil.copytree(tmp_path / "w", tmp_path / str(survived))
        work, done = tmp_path / str(survived), 0

        def act_or_die(act: Callable[..., object], allowed: int = survived) -> Callable[..., object]:
            def acting(*args: object, **options: object) -> object:
                nonlocal done
                if done == allowed:
                    raise Killed
                done += 1
                return act(*args, **options)

            return acting

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", act_or_die(os.replace))
            patch.setattr(Path, "unlink", act_or_die(Path.unlink))
            with suppress(Killed):
                plan_into(phantom_folder, work, folds=2, machine=LAPTOP)
        if (work / "plan.yaml").exists():
            assert pair(work) in (old, new)
            seen.add(pair(work))
        else:
            gone.append(work)
    assert seen == {old, new}
    assert gone
    plan_into(phantom_folder, gone[0], folds=2, machine=LAPTOP)
    assert pair(gone[0]) == new
    names = {p.name for p in gone[0].iterdir()}
    assert names == {"fingerprint.json", "plan.yaml", "plan.yaml.old", "planned-for.json", "splits.json"}


def test_two_commands_do_not_plan_into_one_folder(phantom_folder: Path, tmp_path: Path) -> None:
    with (
        hold_lock(tmp_path / "w" / PLAN_LOCK_FILE, "plans here"),
        pytest.raises(LockedError, match="plans here"),
    ):
        plan_into(phantom_folder, tmp_path / "w", folds=3, machine=LAPTOP)


def test_strata_that_no_table_has_are_refused_before_images_are_measured(
    phantom_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(phantom_folder, tmp_path / "c")
    with (tmp_path / "c" / "cohort.yaml").open("a") as header:
        header.write("strata: {arms: []}\n")
    with pytest.raises(PolytaskError, match="no column 'arms', which `strata` names"):
        plan_into(tmp_path / "c", tmp_path / "w", folds=3, machine=LAPTOP)
    assert not (tmp_path / "w").exists()
