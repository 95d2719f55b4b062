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
from polytask.evaluation.result import PARTS, Part
from polytask.plan.files import ensure_fold, read_plan
from polytask.tasks.task import Task
from polytask.training.assemble import make_tasks
from polytask.training.folder import Run
from polytask.training.survival import read_learnt

LOG = "test_log.jsonl"


@dataclass(frozen=True)
class Judged:
    """A part with its subjects and the folder of its results (`RUN`, `RUN/tune` or `RUN/test`)."""

    part: Part
    subjects: tuple[str, ...]
    folder: Path


def folder_of(run: Path, part: Part) -> Path:
    """Return the folder that holds the results of a part."""
    return run if part == "held_out" else run / part


def judged(run: Run, cohort: Cohort, part: Part) -> Judged:
    """Select the subjects of a part of the run's fold, or of the test part of the cohort."""
    if part not in PARTS:
        raise PolytaskError(f"part {part!r} is not known; expected one of {', '.join(PARTS)}")
    if part == "test":
        subjects = cohort.in_split("test")
        if not subjects:
            raise PolytaskError(
                f"{cohort.table}: no test part; write `test` in the column `split` of its subjects"
            )
    else:
        fold = read_fold(run.work / "splits.json", int(run.record["fold"]), cohort)
        subjects = fold.part(part)
    return Judged(part, subjects, folder_of(run.folder, part))


def note_test(run: Run, subjects: int) -> None:
    """Add a line to `WORK/test_log.jsonl`; called before the first test subject is predicted."""
    note(run.work / LOG, {"part": "test", "run": run.folder.name, "subjects": subjects})


def note(path: Path, what: Mapping[str, Any]) -> None:
    """Add a line with the present time to a log of evaluations. It holds no ids, because logs are passed on more freely
    than cohorts."""
    line = {"when": datetime.now(UTC).isoformat(timespec="seconds"), **what}
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
    except OSError as error:
        raise PolytaskError(
            f"{path}: cannot be written ({error.strerror}); nobody is looked at without a note; mend its permissions"
        ) from None


def times_touched(work: Path) -> int:
    """Count how often the test part was evaluated. Lines about other cohorts do not count; a line without `part` is
    about the test part."""
    lines = read_json_lines(work / LOG, "the log of the test part")
    # A broken line was being written by an evaluation that was killed: it may have used the test part, so it counts.
    return sum(line is None or line.get("part", "test") == "test" for _, line in lines)


def weights_of(run: Run) -> dict[str, str]:
    """Return network → sha256 of its best weights; tells whether an evaluation was made with the present weights."""
    return run.weights


def tasks_of(run: Run) -> dict[str, Task]:
    """Rebuild the run's tasks from its fold of the plan, with what was learned from the training part."""
    names = [task for tasks in run.networks.values() for task in tasks]
    plan, number = read_plan(run.folder), int(run.record["fold"])
    ensure_fold(plan, number, run.folder)
    fold = plan.folds[number]
    return make_tasks(fold, names, read_learnt(run.folder, fold))
