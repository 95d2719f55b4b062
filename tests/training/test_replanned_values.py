"""A value set for one run: what depends on it is planned again, or the run is refused with the command that does it."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from polytask.cli import app
from polytask.cohort.cohort import Cohort
from polytask.cohort.phantom import make_phantom
from polytask.cohort.splits import Splits
from polytask.errors import PolytaskError
from polytask.plan.machine import GIB, Machine
from polytask.plan.machine_file import PLANNED_MACHINE_FILE, write_machine
from polytask.plan.plan_file import set_values, write_plan
from polytask.plan.plan_schema import Plan
from polytask.plan.planner import make_plan
from polytask.plan.replan import PlanningFacts, list_shared_values
from polytask.plan.step_memory import predict_step_memory
from polytask.plan.work_folder import plan_into
from polytask.prepare.store_builder import prepare
from polytask.training import run as training_run
from polytask.training.replanned_values import list_followers
from polytask.training.run import train
from polytask.training.run_plan import make_run_plan
from polytask.training.run_request import RunRequest
from polytask.training.run_sizes import fit_run_plan
from tests.plan.test_fixed_values import GRADE, MASKS, World
from tests.plan.worlds import LAPTOP
from tests.training.test_memory_warning import RecordingReporter

BY_HAND = ("training.steps_per_epoch=4", "images.scan.blocks=[1,1,1]", "training.threads=1")


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder that was planned with some values set by hand, and prepared."""
    root = tmp_path_factory.mktemp("replanned")
    make_phantom(root / "cohort", subjects=14, size=24, dims=2, seed=3)
    plan_into(root / "cohort", root / "work", folds=3, machine=LAPTOP, settings=BY_HAND)
    prepare(root / "work", jobs=1)
    return root / "work"


@pytest.fixture
def work(planned: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(planned.parent / "cohort", tmp_path / "cohort")
    shutil.copytree(planned, tmp_path / "work")
    return tmp_path / "work"


def make_plan_of_run(work: Path, *overrides: str, **options: Any) -> Plan:
    """The plan of a run with values set by hand."""
    return make_run_plan(work, RunRequest(overrides=overrides, **options))


CHANGES: list[tuple[str, ...]] = [
    ("training.batch=3",),
    ("training.optimizer=sgd",),
    ("training.accumulation=2", "training.epochs=3"),
    ("images.scan.view=[32,32]",),
    ("images.scan.widths=[8,16]", "images.scan.blocks=[1,1]"),
    ("images.scan.strides=[[1,1],[2,2],[2,2]]",),
    ("images.scan.topology=narrow",),
    ("images.scan.channel_flags=true", "augmentation.scale=0.3"),
]


@pytest.mark.parametrize("change", CHANGES, ids=" ".join)
def test_a_run_has_the_plan_that_planning_with_the_value_makes(
    planned: Path, tmp_path: Path, change: tuple[str, ...]
) -> None:
    again = plan_into(
        planned.parent / "cohort",
        tmp_path,
        splits=planned / "splits.json",
        machine=LAPTOP,
        settings=[*BY_HAND, *change],
    ).plan
    run = make_plan_of_run(planned, *change)
    assert run.shared == again.shared, "values and reasons"
    assert run.folds == again.folds
    assert run.shared != Plan.read(planned).shared


def test_the_other_values_follow(planned: Path) -> None:
    before, after = Plan.read(planned).shared, make_plan_of_run(planned, "training.batch=3").shared
    assert before.training.batch != 3
    assert "a step of 3 samples needs about" in after.why["training.batch"]
    sgd = make_plan_of_run(planned, "training.optimizer=sgd").shared.training
    assert (sgd.rate, sgd.weight_decay) == (0.01, 3e-5)


def test_a_value_of_a_fold_and_one_of_the_shared_part_are_set_together(planned: Path) -> None:
    plan = make_plan_of_run(
        planned, "folds.*.tasks.os.loss=hazard", "training.optimizer=sgd", "model.dropout=0.3"
    )
    assert plan.folds[0].tasks["os"]["loss"] == "hazard"
    assert plan.shared.training.rate == 0.01
    assert plan.shared.model.dropout == 0.3


def test_what_was_edited_in_the_file_stays(work: Path) -> None:
    content = yaml.safe_load((work / "plan.yaml").read_text())
    content["shared"]["training"]["rate"] = 0.004
    content["shared"]["images"]["scan"]["view"] = [48, 48]
    (work / "plan.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    shared = make_plan_of_run(work, "training.optimizer=sgd").shared
    assert (shared.training.rate, shared.training.weight_decay) == (0.004, 3e-5)
    assert shared.images["scan"].view == (48, 48)
    assert shared.why["training.rate"] == "set by hand (was 0.01)", "what SGD would have"


def test_sizes_follow_no_thread_and_no_architecture(planned: Path) -> None:
    """A run with fewer threads, another precision or another sharing block can be compared with those before it."""
    before = dict(list_shared_values(Plan.read(planned).shared))
    for change in (
        ["training.threads=2"],
        ["training.precision=float32"],
        ["model.sharing=mtan"],
        ["training.balance.rule=upgrad"],
    ):
        after = dict(list_shared_values(make_plan_of_run(planned, *change).shared))
        changed = {path for path in before if before[path] != after[path]}
        assert all(change[0].startswith(path) for path in changed), change
    kept = make_plan_of_run(planned, "training.optimizer=sgd", keep_sizes=True).shared.training
    assert (kept.optimizer, kept.rate) == ("sgd", 0.001), "arms of a study share all sizes"


@pytest.mark.parametrize("missing", ["fingerprint.json", PLANNED_MACHINE_FILE])
def test_without_the_facts_a_value_is_taken_as_it_is(work: Path, missing: str) -> None:
    """A work folder of an earlier version, or one made by hand: the reason says what was not planned again."""
    (work / missing).unlink()
    shared = make_plan_of_run(work, "training.optimizer=sgd").shared
    assert (shared.training.optimizer, shared.training.rate) == ("sgd", 0.001)
    assert shared.why["training.optimizer"] == "set by hand (was adamw when the other values were planned)"


@pytest.mark.parametrize("change", ["images.scan.spacing=[2,2]", "images.scan.patch=[16,16]"])
def test_a_run_that_needs_other_arrays_is_refused_with_the_command(work: Path, change: str) -> None:
    with pytest.raises(
        PolytaskError, match=r"made for other values; plan and prepare for it: polytask plan "
    ) as caught:
        train(work, name="a", overrides=[change])
    message = str(caught.value)
    assert "\n" not in message
    assert not (work / "runs" / "a").exists()
    for command in message.split("for it: ")[1].split(" && "):
        words = shlex.split(command)
        assert words[0] == "polytask"
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, result.output
    after = Plan.read(work).shared
    assert after.why[change.split("=")[0]].startswith("set by hand (was")
    assert after.why["images.scan.blocks"].startswith("set by hand"), "what was set before is set again"
    train(work, name="a", steps=1, tasks=["grade"])


def test_what_follows_a_value_is_listed_for_studies(work: Path) -> None:
    plan = Plan.read(work)
    stages = ["images.scan.widths=[8,16]", "images.scan.blocks=[1,1]"]
    assert list_followers(work, plan, stages) == ["images.scan.strides", "images.scan.topology"]
    wide = "images.scan.widths=[8,16,32]"
    assert list_followers(work, plan, [wide]) == [], "a topology is only the name of widths and strides"
    assert list_followers(work, plan, ["training.batch=3"]) == []
    (work / "fingerprint.json").unlink()
    assert list_followers(work, plan, stages) == [], "nobody can tell"


def test_a_value_that_contradicts_one_of_the_plan_is_refused(planned: Path) -> None:
    with pytest.raises(PolytaskError, match=r"scan\.widths=\[8,16\].*different numbers of stages"):
        make_plan_of_run(planned, "images.scan.widths=[8,16]")


def test_a_run_trains_the_plan_that_was_made_for_it(work: Path) -> None:
    run = train(
        work,
        name="a",
        steps=1,
        tasks=["grade"],
        overrides=["images.scan.widths=[8,16]", "images.scan.blocks=[1,1]"],
    )
    own = Plan.read(run.folder).shared
    assert own.images["scan"].strides == ((1, 1), (2, 2))
    assert own.why["images.scan.strides"].startswith("follows widths and blocks, set by hand")
    train(work, resume="a", extend=1)


# Memory.


def write_world(root: Path, world: World, settings: Sequence[str] = ()) -> Path:
    """Write a work folder for a cohort without files."""
    cohort, work = root / "cohort", root / "work"
    cohort.mkdir(parents=True)
    work.mkdir()
    (cohort / "cohort.yaml").write_text(
        yaml.safe_dump(world.cohort.header.model_dump(mode="json", exclude_defaults=True), sort_keys=False)
    )
    rows = [["subject", "site", *world.cohort.cases[0].cells, "node"]]
    rows += [[c.subject, c.site, *c.cells.values(), c.cells["tumour"]] for c in world.cohort.cases]
    (cohort / "cases.csv").write_text("".join(",".join(row) + "\n" for row in rows))
    read = Cohort.read(cohort)
    world.splits.write(work / "splits.json")
    cases = {
        key: case.model_copy(update={"voxels": case.voxels | {"node": case.voxels["tumour"]}})
        for key, case in world.found.cases.items()
    }
    found = world.found.model_copy(update={"cases": cases})
    found.write(work)
    write_machine(world.machine, work)
    plan = make_plan(read, found, Splits.read(work / "splits.json"), machine=world.machine, settings=settings)
    write_plan(plan, work)
    return work


TWO_MASKS = MASKS | {"node": {"kind": "segmentation", "image": "scan", "labels": {"tumour": 1}}}
GPU = Machine(cores=16, memory=128 * GIB, device="cuda", device_memory=8 * GIB, precision="bf16", gain=3.0)


def fit(work: Path, machine: Machine = GPU, **options: Any) -> tuple[Plan, Plan, str]:
    """The plan of a run, the same with sizes that fit, and what was done."""
    request = RunRequest(**options)
    plan = make_run_plan(work, request)
    return plan, *fit_run_plan(work, plan, request, machine)


def test_a_run_that_fits_keeps_its_sizes(tmp_path: Path) -> None:
    work = write_world(tmp_path, World((300, 300, 200), TWO_MASKS, GPU))
    plan, fitted, said = fit(work, sharing="mtan_light")
    assert (fitted, said) == (plan, "")


def test_the_batch_of_a_heavier_preset_is_divided_first(tmp_path: Path) -> None:
    work = write_world(tmp_path, World((300, 300, 200), TWO_MASKS, GPU))
    plan, fitted, said = fit(work, sharing="cross_stitch")
    before, after = plan.shared.training, fitted.shared.training
    assert after.batch < before.batch
    assert after.batch * after.accumulation == before.batch * before.accumulation
    assert (after.epochs, after.steps_per_epoch) == (before.epochs, before.steps_per_epoch)
    assert fitted.shared.images == plan.shared.images
    assert re.search(
        r"GiB that a step may fill on .*; the run takes training.batch=1 and training.accumulation=2", said
    )
    assert fitted.shared.why["training.batch"].startswith(
        "1, so that it fits: a step of 2 samples with sharing"
    )
    assert "make the step of 2 samples" in fitted.shared.why["training.accumulation"]
    assert fit_run_plan(work, fitted, RunRequest(sharing="cross_stitch"), GPU) == (fitted, "")


def test_then_patch_and_width_are_planned_for_the_preset(tmp_path: Path) -> None:
    """On a device of half the memory not even one sample fits; without pooled tasks no stored array changes."""
    small = replace(GPU, device_memory=4 * GIB)
    work = write_world(tmp_path, World((300, 300, 200), TWO_MASKS, GPU))
    plan, fitted, said = fit(work, small, sharing="cross_stitch")
    before, after = plan.shared.images["scan"], fitted.shared.images["scan"]
    assert before.patch is not None
    assert after.patch is not None
    assert after.patch < before.patch
    assert fitted.shared.model == plan.shared.model
    assert "its sizes are planned again for it: scan " in said
    assert "on 16 cores, 128 GiB, cuda 4 GiB" in fitted.shared.why["training.batch"]
    assert fit_run_plan(work, fitted, RunRequest(sharing="cross_stitch"), small) == (fitted, "")


def test_other_arrays_are_asked_for_in_one_line(tmp_path: Path) -> None:
    """With a class beside the masks the view is stored at its own spacing."""
    work = write_world(tmp_path, World((300, 300, 300), TWO_MASKS | GRADE, GPU))
    plan, fitted, said = fit(work, replace(GPU, device_memory=4 * GIB), sharing="cross_stitch")
    assert fitted == plan
    assert "smaller sizes need other prepared arrays: polytask plan " in said
    assert "--set 'model.sharing=\"cross_stitch\"'" in said
    assert said.endswith(f"polytask prepare {work}")
    assert "\n" not in said


@pytest.mark.parametrize("where", ["plan", "run", "file"])
def test_a_batch_set_by_hand_is_left_alone(tmp_path: Path, where: str) -> None:
    size = "training.batch=3"
    work = write_world(tmp_path, World((300, 300, 200), TWO_MASKS, GPU), [size] if where == "plan" else ())
    if where == "file":
        text = (work / "plan.yaml").read_text()
        (work / "plan.yaml").write_text(text.replace("batch: 2\n", "batch: 3\n"))
    plan, fitted, said = fit(work, sharing="cross_stitch", overrides=[size] if where == "run" else ())
    assert plan.shared.training.batch == 3
    assert (fitted, said) == (plan, "")


def test_the_arms_of_a_study_keep_their_sizes(tmp_path: Path) -> None:
    work = write_world(tmp_path, World((300, 300, 200), TWO_MASKS, GPU))
    plan, fitted, said = fit(work, sharing="cross_stitch", keep_sizes=True)
    assert (fitted, said) == (plan, "")


def test_facts_of_another_cohort_are_not_used(work: Path) -> None:
    table = work.parent / "cohort" / "cases.csv"
    table.write_text(table.read_text().replace("0001", "9001"))
    plan = Plan.read(work)
    assert PlanningFacts.find(work, plan, work.parent / "cohort") is None


def test_what_was_done_is_said_before_the_first_step(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan.read(work)
    (work / PLANNED_MACHINE_FILE).unlink()
    header = Cohort.read(work.parent / "cohort").header
    need = predict_step_memory(set_values(plan, ["model.sharing=cross_stitch", "training.batch=2"]), header)
    memory = int(need.peak + need.model)
    monkeypatch.setattr(training_run, "describe_device", lambda device: Machine(2, 2 * memory + 2))
    reporter = RecordingReporter()
    run = train(work, name="a", steps=1, sharing="cross_stitch", reporter=reporter)
    own = Plan.read(run.folder).shared.training
    assert "the run takes training.batch=" in reporter.told[0]
    assert own.batch < plan.shared.training.batch
    assert not any("--set training.batch" in text for text in reporter.told)
