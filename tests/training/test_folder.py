"""The folder of a run and its record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from polytask.errors import PolytaskError
from polytask.plan.plan_schema import Plan
from polytask.plan.planner import make_plan
from polytask.training.folder import Run, find_record_problem, has_only_record, list_nearby_runs
from tests.plan.worlds import LAPTOP, cohort_of, graded, header, one_fold, prints

GOOD: dict[str, Any] = {
    "name": "a",
    "fold": 0,
    "seed": 0,
    "sharing": "hard",
    "networks": {"": ["grade"]},
    "plan": "p",
    "store": "s",
    "header": {},
}


def write_run(folder: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "run.yaml").write_text(yaml.safe_dump({**GOOD, **changes}))
    (folder / "plan.yaml").write_text("plan")
    return folder


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (GOOD, ""),
        ({**GOOD, "fold": 2**63 - 1}, ""),
        ([], "expected keys and values"),
        ({k: v for k, v in GOOD.items() if k != "seed"}, "seed is missing"),
        ({**GOOD, "fold": -1}, "fold is not a whole number of 0 or more"),
        ({**GOOD, "seed": 2**63}, "seed is not a whole number of 0 or more"),
        ({**GOOD, "seed": True}, "seed is not a whole number of 0 or more"),
        ({**GOOD, "sharing": 3}, "sharing is not text"),
        ({**GOOD, "networks": {}}, "networks lists no network"),
        ({**GOOD, "networks": []}, "networks lists no network"),
        ({**GOOD, "networks": {"a/b": []}}, "a network's name cannot be the name of a folder"),
        ({**GOOD, "networks": {"a\\b": []}}, "a network's name cannot be the name of a folder"),
        ({**GOOD, "networks": {"..": []}}, "a network's name cannot be the name of a folder"),
        ({**GOOD, "networks": {".": []}}, "a network's name cannot be the name of a folder"),
        ({**GOOD, "networks": {3: []}}, "a network's name cannot be the name of a folder"),
        ({**GOOD, "networks": {"a": "grade"}}, "networks.a is not a list of tasks"),
        ({**GOOD, "networks": {"a": [1]}}, "networks.a is not a list of tasks"),
    ],
)
def test_a_record_is_that_of_a_run(record: Any, told: str) -> None:
    assert find_record_problem(record) == told


def test_a_run_is_read_where_it_is_whole(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "runs" / "a")
    run = Run.read(folder)
    assert (run.work, run.networks, run.folder) == (tmp_path, {"": ["grade"]}, folder)
    assert run.best("") == folder / "best"
    assert run.best("x") == folder / "best" / "x"
    assert run.last("x") == folder / "last" / "x"
    assert run.find_last_checkpoint("") is None
    assert run.find_best_checkpoint("") == folder / "best"
    assert run.weights == {"": ""}
    (folder / "best.old").mkdir()
    (folder / "best.old" / "model.sha256").write_text("seal\n")
    assert run.find_best_checkpoint("") == folder / "best.old"
    assert run.weights == {"": "seal"}
    (folder / "plan.yaml").unlink()
    with pytest.raises(PolytaskError, match=r"not a whole run \(no plan\.yaml\)"):
        Run.read(folder)
    with pytest.raises(PolytaskError, match=r"not a run record \(fold is not a whole"):
        Run.read(write_run(tmp_path / "runs" / "b", fold="x"))


def test_runs_that_may_have_been_meant_are_named(tmp_path: Path) -> None:
    assert list_nearby_runs(tmp_path / "x") == ""
    for k in range(8):
        write_run(tmp_path / "runs" / f"r{k}")
    eight = ", ".join(f"r{k}" for k in range(8))
    for place in (tmp_path, tmp_path / "runs", tmp_path / "runs" / "x", tmp_path / "x"):
        assert list_nearby_runs(place).endswith(f": {eight}")
    write_run(tmp_path / "runs" / "r8")
    assert list_nearby_runs(tmp_path).endswith(f": {eight}, …")
    with pytest.raises(PolytaskError, match=r"not a run \(no run\.yaml\).*r0, r1"):
        Run.read(tmp_path / "runs" / "x")


def test_a_run_that_has_only_begun_is_forgotten(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "runs" / "a")
    assert has_only_record(folder)
    (folder / "metrics.jsonl").touch()
    assert not has_only_record(folder)
    Run.read(folder).remove_if_unstarted()
    assert folder.exists()
    (folder / "metrics.jsonl").unlink()
    run = Run.read(folder)
    run.remove_if_unstarted()
    assert list((tmp_path / "runs").iterdir()) == []
    run.remove_if_unstarted()


def test_a_new_run_keeps_the_order_of_its_record_and_a_plan_of_its_own(tmp_path: Path) -> None:
    """A person reads `run.yaml` from the top: what it is, then how it was made."""
    (tmp_path / "work/runs").mkdir(parents=True)
    cohort = cohort_of(header(), graded(12))
    plan = make_plan(cohort, prints([(32, 32, 32)] * 12), one_fold(cohort), machine=LAPTOP)
    record = {"polytask": 1, **GOOD, "created": "today"}
    run = Run.create(tmp_path / "work/runs/a", record, plan)
    lines = (run.folder / "run.yaml").read_text().splitlines()
    assert [line.partition(":")[0] for line in lines if line[0].isalpha()] == list(record)
    assert Run.read(run.folder).record == record
    assert Plan.read(run.folder).folds.keys() == plan.folds.keys()
    with pytest.raises(PolytaskError, match="this run exists; go on with --resume a"):
        Run.create(run.folder, record, plan)
