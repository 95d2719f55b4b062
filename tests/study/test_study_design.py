from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from polytask.errors import PolytaskError
from polytask.study.arms import Arm
from polytask.study.run_spec import list_run_specs
from polytask.study.study_design import (
    ArmTiming,
    RatioQuartiles,
    StudyDesign,
    StudyHashes,
    refuse_changes,
    refuse_other_budget,
)
from polytask.study.study_request import StudyRequest

DESIGN = StudyDesign(
    name="s",
    work="../..",
    arms=(Arm("single", "single"), Arm("hard", "hard")),
    folds=(0, 1),
    seeds=(0,),
    steps=8,
    how="--steps 8",
    minutes=None,
    tune_every=2,
    threads=1,
    precision="float32",
    device="cpu",
    cut=None,
    tasks=None,
    overrides=("training.rate=1e-3",),
    resamples=100,
    rests=StudyHashes({0: "a", 1: "b"}, "splits", "cohort-digest", "store"),
    paces={"hard": ArmTiming(0.5, 1.5, 9, RatioQuartiles(0.4, 0.3, 0.5)), "single": ArmTiming(1.2, 3.0, 20)},
    versions={"torch": "2"},
    commands=("polytask study w",),
)


def test_it_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    DESIGN.write(tmp_path)
    assert StudyDesign.read(tmp_path) == DESIGN
    assert [p.name for p in tmp_path.iterdir()] == ["study.yaml"]


def test_what_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolytaskError, match="not a study"):
        StudyDesign.read(tmp_path)
    (tmp_path / "study.yaml").write_text("polytask: 1\nname: x\n")
    with pytest.raises(PolytaskError, match="not the record of a study"):
        StudyDesign.read(tmp_path)


def test_values_of_an_arm_are_kept(tmp_path: Path) -> None:
    slim = Arm("slim", "ctan", "equal", "ctan", "light", ("model.form=light", "training.rate=0.5"))
    design = replace(DESIGN, arms=(*DESIGN.arms, slim))
    design.write(tmp_path)
    assert StudyDesign.read(tmp_path) == design
    assert list_run_specs(design, tmp_path)[2].values == slim.values


def test_it_grows_and_says_by_which_command() -> None:
    other = replace(
        DESIGN,
        arms=(Arm("single", "single"), Arm("ctan", "ctan")),
        folds=(0,),
        seeds=(0, 1),
        paces={"hard": ArmTiming(9, 9, 9), "ctan": ArmTiming(1, 1, 1)},
    )
    grown = DESIGN.extended(other, "polytask study w --seeds 2")
    assert [a.name for a in grown.arms] == ["single", "hard", "ctan"]
    assert (grown.folds, grown.seeds) == ((0, 1), (0, 1))
    assert grown.paces["hard"] == DESIGN.paces["hard"], "timed in turns before"
    assert grown.commands == (*DESIGN.commands, "polytask study w --seeds 2")
    assert DESIGN.extended(replace(DESIGN, folds=(0,)), "again") == DESIGN


def test_an_arm_that_was_not_timed_beside_single_is_timed_later() -> None:
    """Along with an arm that is new, as when the probe had failed."""
    later = replace(
        DESIGN, paces={"single": ArmTiming(1.0, 3.0, 20, RatioQuartiles(1, 1, 1)), "hard": ArmTiming(9, 9, 9)}
    )
    grown = DESIGN.extended(later, "again")
    assert grown.paces == {"single": later.paces["single"], "hard": DESIGN.paces["hard"]}
    assert grown.commands == DESIGN.commands


def test_runs_come_fold_by_fold_with_all_arms(tmp_path: Path) -> None:
    specs = list_run_specs(DESIGN, tmp_path)
    assert [s.name for s in specs] == [
        "s.single-fold0-seed0",
        "s.hard-fold0-seed0",
        "s.single-fold1-seed0",
        "s.hard-fold1-seed0",
    ]
    looks = max(1, DESIGN.steps // 20)
    assert {s.overrides for s in specs} == {
        (
            f"training.balance.log_every={looks}",
            "training.rate=1e-3",
            "training.patience=0",
            "training.tune_every=2",
            "training.threads=1",
        )
    }
    assert len({(s.steps, s.threads, s.device, s.tasks) for s in specs}) == 1


@pytest.mark.parametrize(
    ("wanted", "option"),
    [
        (StudyRequest(steps=9), "--steps 9"),
        (StudyRequest(minutes=2.0), "--minutes-per-run 2"),
        (StudyRequest(tasks=("grade",)), "--tasks grade"),
        (StudyRequest(overrides=("training.rate=1",)), "--set training.rate=1"),
        (StudyRequest(cut="parameters"), "--cut parameters"),
        (StudyRequest(device="cuda"), "--device cuda"),
        (StudyRequest(resamples=5), "--resamples 5"),
    ],
)
def test_another_budget_is_refused(wanted: StudyRequest, option: str, tmp_path: Path) -> None:
    with pytest.raises(PolytaskError, match=option) as error:
        refuse_other_budget(DESIGN, wanted, tmp_path)
    assert "another study with -o" in str(error.value)


def test_the_same_budget_is_welcome(tmp_path: Path) -> None:
    same = StudyRequest(steps=8, overrides=("training.rate=1e-3",), device="cpu", resamples=100)
    refuse_other_budget(DESIGN, same, tmp_path)
    refuse_other_budget(DESIGN, StudyRequest(), tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cohort": "other"}, "another cohort"),
        ({"splits": "other"}, "the folds have changed"),
        ({"plan": {0: "a", 1: "x"}}, "the plan has changed for fold 1 "),
        ({"plan": {0: "x", 1: "y"}}, "the plan has changed for all folds"),
        ({"plan": {0: "a", 1: "b", 2: "c"}}, "the plan has changed"),
        ({"store": "other"}, "the prepared data have changed"),
    ],
)
def test_what_changed_is_named(change: dict[str, object], said: str, tmp_path: Path) -> None:
    refuse_changes(DESIGN, DESIGN.rests, tmp_path, tmp_path)
    with pytest.raises(PolytaskError, match=said):
        refuse_changes(DESIGN, replace(DESIGN.rests, **change), tmp_path, tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tune_every: 2", "tune_every: [2]"),
        ("tune_every: 2", "tune_every: 0"),
        ("steps: 8", "steps: many"),
        ("folds:\n- 0\n- 1", "folds: []"),
        ("seeds:\n- 0", "seeds: [x]"),
        ("folds:\n- 0", "folds:\n- 7"),
        ("threads: 1", "threads: {a: 1}"),
    ],
)
def test_values_of_another_type_are_said_where_they_are_read(tmp_path: Path, old: str, new: str) -> None:
    DESIGN.write(tmp_path)
    text = (tmp_path / "study.yaml").read_text()
    assert old in text
    (tmp_path / "study.yaml").write_text(text.replace(old, new))
    with pytest.raises(PolytaskError, match="the record of a study"):
        StudyDesign.read(tmp_path)
