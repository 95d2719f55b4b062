"""What a study does again for every run that is done: counted, since seconds depend on the machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from polytask.study import matrix, results, study_folder, study_runner
from polytask.study.arms import Arm
from polytask.study.matrix import MatrixSnapshot
from polytask.study.results import ResultsWriter
from polytask.study.results_table import RESULTS_SCHEMA, read_results
from polytask.study.run_spec import RunSpec
from polytask.study.study_folder import Study, StudyRun


def study_of(place: Path, count: int) -> Study:
    """Runs that nobody begins."""
    arm = Arm("hard", "hard", "equal", "")
    runs = []
    for seed in range(count):
        spec = RunSpec(
            str(place),
            f"s.hard-fold0-seed{seed}",
            "hard",
            "hard",
            "equal",
            "",
            0,
            seed,
            1,
            None,
            (),
            "cpu",
            1,
            1,
        )
        runs.append(StudyRun(arm, 0, seed, place / spec.name, "missing", "", spec))
    return Study(place, None, place, tuple(runs))  # type: ignore[arg-type]


def with_done(study: Study, count: int) -> Study:
    runs = [replace(run, state="done") if k < count else run for k, run in enumerate(study.runs)]
    return replace(study, runs=tuple(runs))


def row_of(run: StudyRun) -> pa.Table:
    return (
        RESULTS_SCHEMA.empty_table()
        if run.state != "done"
        else pa.Table.from_pylist([{"run": run.name}], schema=RESULTS_SCHEMA)
    )


def test_the_table_is_written_a_few_times_as_runs_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "build_run_table", row_of)
    rows = 0
    found = ResultsWriter()
    study = study_of(tmp_path, 200)
    for done in range(1, 201):
        if found.is_due(done):
            rows += read_results(found.write(with_done(study, done))).num_rows
    assert read_results(study.results).num_rows >= 160, "never more than a fifth behind"
    assert rows <= 6 * 200, "20,100 when it was written after every run"


def test_a_command_ends_with_all_runs_in_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_of(tmp_path, 9)
    monkeypatch.setattr(results, "build_run_table", row_of)
    written: list[int] = []
    real = ResultsWriter.write

    def write(self: ResultsWriter, of: Study) -> Path:
        path = real(self, of)
        written.append(read_results(path).num_rows)
        return path

    def run_matrix(of: Study, expect: Any, jobs: int, backend: str, watch: Any) -> int:
        for done in range(1, 10):
            watch(MatrixSnapshot(with_done(of, done), 0.0))
        return 0

    monkeypatch.setattr(ResultsWriter, "write", write)
    monkeypatch.setattr(study_runner, "run_matrix", run_matrix)
    for name in ("prepare_backend", "prepare_workspace", "locate_study", "draft_design"):
        monkeypatch.setattr(study_runner, name, lambda *of, **more: Place(tmp_path))
    monkeypatch.setattr(study_runner.Workspace, "read", lambda work: None)
    monkeypatch.setattr(study_runner, "compare_costs_with_hard", lambda *of: {})
    states = iter([study, with_done(study, 9)])
    monkeypatch.setattr(study_runner.Study, "of", lambda *of: next(states))
    study_runner.run_study(tmp_path)
    assert written[-1] == 9
    assert written == sorted(written)


class Place:
    """Stands for a study's place and for its design."""

    steps, how, cohort = 1, "as said", None

    def __init__(self, folder: Path) -> None:
        self.folder = self.work = folder

    def write(self, folder: Path) -> None:
        (folder / "study.yaml").touch()


def test_done_runs_are_not_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr(study_folder, "read_run_record", lambda of: read.append(of.name) or {})
    study = with_done(study_of(tmp_path, 40), 30)
    again = study.read_states_again()
    assert len(read) == 10
    assert [run.state for run in again.runs] == ["done"] * 30 + ["missing"] * 10
    assert all(a is b for a, b in zip(again.runs[:30], study.runs[:30], strict=True)), "with what they noted"


def test_the_matrix_looks_at_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    monkeypatch.setattr(study_folder, "read_run_record", lambda of: looks.append(of.name) or {})
    monkeypatch.setattr(matrix, "_dispatch_runs", lambda *of: None)
    study = with_done(study_of(tmp_path, 40), 39)
    assert matrix.run_matrix(study, lambda now: {}, 1, "threading", lambda now: None) == 0
    assert set(looks) <= {study.runs[39].name}
