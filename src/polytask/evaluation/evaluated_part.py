"""The part of a run that is evaluated: its subjects, the folder of its results, and the log of the test part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from polytask.cohort.cohort import Cohort
from polytask.cohort.fold_file import read_fold
from polytask.documents.json_reader import read_json_lines
from polytask.errors import PolytaskError
from polytask.evaluation.evaluation_result import OWN_PARTS, PartName
from polytask.plan.plan_file import ensure_fold
from polytask.plan.plan_schema import Plan
from polytask.tasks.task import Task
from polytask.training.assemble import make_tasks
from polytask.training.folder import Run
from polytask.training.survival_learning import read_learned_fields

TEST_LOG_FILE = "test_log.jsonl"


@dataclass(frozen=True)
class EvaluatedPart:
    """A part with its subjects and the folder of its results (`RUN`, `RUN/tune` or `RUN/test`)."""

    part: PartName
    subjects: tuple[str, ...]
    folder: Path


def locate_results(run: Path, part: PartName) -> Path:
    """Return the folder that holds the results of a part."""
    return run if part == "held_out" else run / part


def select_part_subjects(run: Run, cohort: Cohort, part: PartName) -> EvaluatedPart:
    """Select the subjects of a part of the run's fold, or of the test part of the cohort."""
    if part not in OWN_PARTS:
        raise PolytaskError(f"part {part!r} is not known; expected one of {', '.join(OWN_PARTS)}")
    if part == "test":
        subjects = cohort.list_split_subjects("test")
        if not subjects:
            raise PolytaskError(
                f"{cohort.table}: no test part; write `test` in the column `split` of its subjects"
            )
    else:
        fold = read_fold(run.work / "splits.json", int(run.record["fold"]), cohort)
        subjects = fold.part(part)
    return EvaluatedPart(part, subjects, locate_results(run.folder, part))


def log_test_use(run: Run, subjects: int) -> None:
    """Add a line to `WORK/test_log.jsonl`; called before the first test subject is predicted."""
    append_log_line(run.work / TEST_LOG_FILE, {"part": "test", "run": run.folder.name, "subjects": subjects})


def append_log_line(path: Path, entry: Mapping[str, Any]) -> None:
    """Add a line with the present time to a log of evaluations. It holds no ids, because logs are passed on more freely
    than cohorts."""
    line = {"when": datetime.now(UTC).isoformat(timespec="seconds"), **entry}
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
    except OSError as error:
        raise PolytaskError(
            f"{path}: cannot be written ({error.strerror}); an evaluation starts only after it is logged there; change "
            "the permissions of the file"
        ) from None


def count_test_uses(work: Path) -> int:
    """Count how often the test part was evaluated. Lines about other cohorts do not count; a line without `part` is
    about the test part."""
    lines = read_json_lines(work / TEST_LOG_FILE, "the log of the test part")
    # A broken line was being written by an evaluation that was killed: it may have used the test part, so it counts.
    return sum(line is None or line.get("part", "test") == "test" for _, line in lines)


def hash_weights(run: Run) -> dict[str, str]:
    """Return network → sha256 of its best weights; tells whether an evaluation was made with the present weights."""
    return run.weights


def rebuild_run_tasks(run: Run) -> dict[str, Task]:
    """Rebuild the run's tasks from its fold of the plan, with what was learned from the training part."""
    names = [task for tasks in run.networks.values() for task in tasks]
    plan, number = Plan.read(run.folder), int(run.record["fold"])
    ensure_fold(plan, number, run.folder)
    fold = plan.folds[number]
    return make_tasks(fold, names, read_learned_fields(run.folder, fold))
