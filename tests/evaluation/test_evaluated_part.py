from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.splits import make_splits
from polytask.errors import PolytaskError
from polytask.evaluation.evaluated_part import (
    append_log_line,
    count_test_uses,
    log_test_use,
    select_part_subjects,
)
from polytask.training.folder import Run
from tests.evaluation.worlds import phantom


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return phantom(tmp_path_factory.mktemp("part") / "c", tasks=["grade", "lesion"])


def run_of(folder: Path, cohort: Cohort, fold: int = 1) -> Run:
    (folder / "runs" / "x").mkdir(parents=True)
    make_splits(cohort, 3).write(folder / "splits.json")
    return Run(folder / "runs" / "x", {"name": "x", "fold": fold})


def test_parts_are_those_of_the_runs_fold(cohort: Cohort, tmp_path: Path) -> None:
    run, fold = run_of(tmp_path, cohort), make_splits(cohort, 3).folds[1]
    held, tune, test = (select_part_subjects(run, cohort, p) for p in ("held_out", "tune", "test"))
    assert held.subjects == fold.held_out
    assert held.folder == run.folder
    assert tune.subjects == fold.tune
    assert tune.folder == run.folder / "tune"
    assert test.subjects == cohort.list_split_subjects("test")
    assert test.folder == run.folder / "test"
    assert test.subjects
    assert not set(test.subjects) & {*held.subjects, *tune.subjects, *fold.train}


def test_every_touch_of_the_test_part_is_noted(cohort: Cohort, tmp_path: Path) -> None:
    run = run_of(tmp_path, cohort)
    assert count_test_uses(run.work) == 0
    log_test_use(run, 4)
    log_test_use(run, 4)
    assert count_test_uses(run.work) == 2
    lines = [json.loads(x) for x in (tmp_path / "test_log.jsonl").read_text().splitlines()]
    assert [set(x) for x in lines] == [{"when", "part", "run", "subjects"}] * 2
    assert lines[0]["run"] == "x"
    assert lines[0]["subjects"] == 4


def test_only_lines_about_the_test_part_count_as_its_openings(cohort: Cohort, tmp_path: Path) -> None:
    run = run_of(tmp_path, cohort)
    old = '{"when": "2026-01-01T00:00:00+00:00", "run": "x", "subjects": 4}'
    (tmp_path / "test_log.jsonl").write_text(f"{old}\n\n")
    log_test_use(run, 4)
    append_log_line(
        tmp_path / "test_log.jsonl", {"part": "external", "run": "x", "cohort": "b", "subjects": 9}
    )
    assert count_test_uses(run.work) == 2
    with (tmp_path / "test_log.jsonl").open("a") as stream:
        stream.write('{"when": "2026-01')
    assert count_test_uses(run.work) == 3, "a note that was being written when somebody stopped it is a look"


def test_bad_parts_are_refused(cohort: Cohort, tmp_path: Path) -> None:
    run = run_of(tmp_path, cohort, fold=7)
    with pytest.raises(PolytaskError, match="no fold 7"):
        select_part_subjects(run, cohort, "held_out")
    with pytest.raises(PolytaskError, match="part 'train' is not known"):
        select_part_subjects(run, cohort, cast(Any, "train"))
    without = Cohort(
        cohort.header, cohort.root, cohort.table, cohort.columns, tuple(c for c in cohort.cases if not c.test)
    )
    with pytest.raises(PolytaskError, match="no test part"):
        select_part_subjects(run, without, "test")


def test_a_log_that_cannot_be_written_stops_everything(tmp_path: Path) -> None:
    with pytest.raises(PolytaskError, match="an evaluation starts only after it is logged there"):
        append_log_line(tmp_path / "nowhere" / "log.jsonl", {})
