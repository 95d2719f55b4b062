from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from polytask.errors import PolytaskError
from polytask.plan.machine import Machine
from polytask.plan.plan_file import set_values, write_plan
from polytask.plan.plan_schema import Plan
from polytask.study.dry_run import forecast_study
from polytask.study.matrix import prepare_backend
from polytask.study.run_estimate import RunEstimate, estimate_remaining_seconds
from polytask.study.study_folder import Study
from polytask.study.study_location import locate_study
from polytask.study.study_request import StudyRequest
from polytask.study.study_runner import run_study
from polytask.training import memory_warning
from tests.study.conftest import SMALL


def test_a_finished_study_is_left_alone(finished: Study) -> None:
    seals = {p: p.stat().st_mtime_ns for p in finished.work.rglob("model.sha256")}
    snapshots: list[object] = []
    ended = run_study(finished.folder, watch=snapshots.append)
    assert (ended.code, snapshots) == (0, [])
    assert {p: p.stat().st_mtime_ns for p in finished.work.rglob("model.sha256")} == seals


def test_the_record_says_what_was_fixed(finished: Study) -> None:
    design = finished.design
    assert (design.steps, design.how, design.seeds, design.folds) == (2, "--steps 2", (0,), (0, 1))
    (command,) = design.commands
    assert "--seeds 1 --steps 2" in command
    assert set(design.paces) == {"single", "hard"}
    assert design.paces["single"].parameters > design.paces["hard"].parameters
    assert {"torch", "polytask", "python"} <= set(design.versions)
    assert [run.state for run in finished.runs] == ["done"] * 4


def test_a_change_between_two_runs_is_refused(finished: Study) -> None:
    plan = Plan.read(finished.work)
    write_plan(set_values(plan, ["training.rate=0.5"]), finished.work)
    with pytest.raises(PolytaskError, match="the plan has changed for all folds"):
        run_study(finished.folder)
    write_plan(plan, finished.work)
    assert run_study(finished.folder).code == 0
    index = finished.work / "store" / "store.json"
    index.write_text(index.read_text().replace('"content": "', '"content": "0'))
    with pytest.raises(PolytaskError, match="the prepared data have changed"):
        run_study(finished.folder)


def test_another_cohort_under_the_same_study_is_refused(finished: Study, tmp_path: Path) -> None:
    from polytask.cohort.phantom import make_phantom
    from polytask.plan.work_folder import plan_into
    from polytask.prepare.store_builder import prepare
    from tests.study.conftest import QUICK

    make_phantom(tmp_path / "cohort", 14, 24, 4, 2, 1, ("lesion", "grade"), 2)
    plan_into(tmp_path / "cohort", tmp_path / "work", folds=2, settings=QUICK, jobs=1)
    prepare(tmp_path / "work", jobs=1)
    with pytest.raises(PolytaskError, match="belongs to another cohort"):
        run_study(tmp_path / "work", SMALL, finished.folder)


def test_the_budget_is_not_changed_but_the_matrix_grows(finished: Study) -> None:
    with pytest.raises(PolytaskError, match="--steps 3"):
        forecast_study(finished.folder, StudyRequest(steps=3))
    more = forecast_study(finished.folder, StudyRequest(sharing=("mtan",), seeds=2))
    assert (more.arms, more.runs, more.done, more.todo) == (("single", "hard", "mtan"), 12, 4, 8)
    assert set(more.measured) == {"single", "hard"}
    assert more.hours > 0
    assert more.gigabytes > 0
    assert len(Study.read(finished.folder).runs) == 4, "a forecast changes nothing"


def test_what_the_plan_does_not_have_is_refused(work: Path) -> None:
    for wanted, said in (
        (replace(SMALL, folds=3), r"--folds 3: .*plan\.yaml has 2"),
        (replace(SMALL, tasks=("graed",)), "--tasks graed: did you mean 'grade'"),
        (replace(SMALL, overrides=("training.rat=1",)), "rat"),
        (
            replace(SMALL, overrides=("images.scan.widths=[4,8]",)),
            r"scan\.(blocks|strides).* would follow, but the arms of a study share .*: polytask plan ",
        ),
    ):
        with pytest.raises(PolytaskError, match=said):
            run_study(work, wanted)
    shutil.rmtree(work / "store")
    with pytest.raises(PolytaskError, match="polytask prepare"):
        run_study(work, SMALL)
    assert not (work / "studies" / "study" / "study.yaml").exists()
    assert not (work / "runs").exists()


def test_an_arm_that_exceeds_the_memory_is_named_and_keeps_its_sizes(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_warning, "describe_device", lambda device: Machine(2, 1))
    said: list[str] = []
    forecast_study(work, SMALL, say=said.append)
    told = [text for text in said if text.startswith("arm hard: memory: a step of ")]
    assert len(told) == 1
    assert "; all arms keep the sizes of the plan, so that they can be compared; " in told[0]


def test_all_runs_have_the_sizes_of_the_plan(finished: Study) -> None:
    assert all(run.spec.make_run_request().keep_sizes for run in finished.runs)
    shared = [Plan.read(folder).shared for folder in (finished.work, *(run.folder for run in finished.runs))]
    sizes = {(part.images["scan"].view, part.training.batch, part.training.accumulation) for part in shared}
    assert len(sizes) == 1


def test_a_source_says_what_it_is(work: Path, tmp_path: Path, finished: Study) -> None:
    assert locate_study(work, None).folder == work / "studies" / "study"
    assert locate_study(finished.folder, None).work == finished.work
    with pytest.raises(PolytaskError, match="is a cohort; say with -o STUDY where"):
        locate_study(work.parent / "cohort", None)
    with pytest.raises(PolytaskError, match="neither a cohort"):
        locate_study(tmp_path, None)
    with pytest.raises(PolytaskError, match="no such folder"):
        locate_study(tmp_path / "gone", None)
    with pytest.raises(PolytaskError, match="leave -o out"):
        locate_study(finished.folder, tmp_path / "other")


def test_backends_are_joblibs() -> None:
    prepare_backend("loky")
    with pytest.raises(PolytaskError, match="did you mean 'loky'"):
        prepare_backend("lokky")
    try:
        import ray  # noqa: F401
    except ImportError:
        with pytest.raises(PolytaskError, match="pip install 'ray'"):
            prepare_backend("ray")


def test_the_time_left_is_at_least_that_of_the_longest_run(finished: Study) -> None:
    runs = list(finished.runs)
    by_arm = {"single": RunEstimate(100.0, 1.0, False), "hard": RunEstimate(10.0, 1.0, False)}
    assert estimate_remaining_seconds(runs, by_arm, 1) == 220.0
    assert estimate_remaining_seconds(runs, by_arm, 2) == 110.0
    assert estimate_remaining_seconds(runs, by_arm, 4) == 100.0
    assert estimate_remaining_seconds([], by_arm, 4) == 0.0
    assert estimate_remaining_seconds(runs, {}, 4) != estimate_remaining_seconds(runs, {}, 4), (
        "not a number: nobody knows"
    )


@pytest.mark.slow
def test_the_same_through_ray(work: Path) -> None:
    pytest.importorskip("ray")
    ended = run_study(work, SMALL, work / "studies" / "s", jobs=2, backend="ray")
    assert [run.state for run in ended.study.runs] == ["done"] * 4
