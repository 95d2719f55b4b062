"""`Study`: the state of a study, read from the files of its runs, and the notes that runs write into these files.

Nothing else records how far a study is.
"""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from polytask.atomic_files import write_text_atomically
from polytask.documents.json_reader import find_json_object
from polytask.documents.text_reader import read_text
from polytask.errors import PolytaskError
from polytask.locks import is_lock_held, read_lock_note
from polytask.plain import write_plain_json
from polytask.study.arms import Arm
from polytask.study.run_spec import STUDY_RECORD_FILE, RunSpec, build_run_spec, list_run_specs
from polytask.study.study_design import StudyDesign

if TYPE_CHECKING:
    import pyarrow as pa

RunState = Literal["done", "failed", "missing"]
RESULTS_FILE = "results.parquet"


@dataclass(frozen=True)
class StudyRun:
    """One run of the matrix of a study.

    Args:
        folder: `WORK/runs/NAME`; it may not exist yet.
        state: `done` = trained and evaluated; `failed` = the last try ended in an error; `missing` = anything else,
            also a run that was started and will be resumed by the next command.
        error: first line of the error, "" without one.
        spec: the values the run is made with.
    """

    arm: Arm
    fold: int
    seed: int
    folder: Path
    state: RunState
    error: str
    spec: RunSpec

    @property
    def name(self) -> str:
        """The name of the run's folder in `WORK/runs`."""
        return self.spec.name

    @property
    def active(self) -> bool:
        """Whether a process is working on this run now."""
        return is_lock_held(self.spec.active)

    @property
    def progress(self) -> tuple[float, str]:
        """The finished share of an active run (0 to 1), and in words what it is doing."""
        note = read_lock_note(self.spec.active)
        return float(note.get("share", 0.0)), str(note.get("what", ""))

    @cached_property
    def record(self) -> dict[str, Any]:
        """The content of the run's `study.json`: `seconds` used so far, and `costs` once the run is done."""
        return read_run_record(self.folder)


@dataclass(frozen=True)
class Study:
    """A study with its design and the present state of each run.

    >>> study = Study.read("work/studies/study")           # doctest: +SKIP
    >>> [run.name for run in study.runs if run.state == "failed"]           # doctest: +SKIP
    """

    folder: Path
    design: StudyDesign
    work: Path
    runs: tuple[StudyRun, ...]

    @classmethod
    def read(cls, folder: Path | str) -> Study:
        """Read a study from its `study.yaml` and the folders of its runs.

        Raises:
            PolytaskError: the folder holds no study.
        """
        folder = Path(folder)
        design = StudyDesign.read(folder)
        return cls.of(folder, design)

    @classmethod
    def of(cls, folder: Path, design: StudyDesign) -> Study:
        """Combine a design with the present state of each of its runs."""
        work = (folder / design.work).resolve()
        arms = {arm.name: arm for arm in design.arms}
        runs = [inspect_run(arms[spec.arm], spec, work) for spec in list_run_specs(design, folder)]
        return cls(folder, design, work, tuple(runs))

    def read_states_again(self) -> Study:
        """Return the same study with fresh states. Runs that are done stay done and are not read again."""
        # This is called twice a second; reading finished runs each time would slow down large studies.
        runs = [
            run if run.state == "done" else inspect_run(run.arm, run.spec, self.work) for run in self.runs
        ]
        return replace(self, runs=tuple(runs))

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The arms (columns) of the study, `single` first."""
        return self.design.arms

    @property
    def results(self) -> Path:
        """The path of `results.parquet`; while runs finish, up to a fifth of them may be missing in it."""
        return self.folder / RESULTS_FILE

    def of_arm(self, arm: str) -> Iterator[StudyRun]:
        """Iterate over the runs of an arm, seed by seed."""
        return (run for run in self.runs if run.arm.name == arm)

    def run(self, arm: str, fold: int, seed: int) -> StudyRun:
        """Return one run with its present state."""
        definition = next(a for a in self.arms if a.name == arm)
        spec = build_run_spec(self.design, self.folder, definition, fold, seed)
        return inspect_run(definition, spec, self.work)

    def table(self) -> pa.Table:
        """Read `results.parquet` as an Arrow table."""
        # Imported here because pyarrow takes long to load and most commands never need it.
        from polytask.study.results_table import read_results

        return read_results(self.results)


def inspect_run(arm: Arm, spec: RunSpec, work: Path) -> StudyRun:
    """Read the present state of one run from its folder."""
    folder = work / "runs" / spec.name
    state, error = find_run_state(spec, folder)
    return StudyRun(arm, spec.fold, spec.seed, folder, state, error, spec)


def find_run_state(spec: RunSpec, folder: Path) -> tuple[RunState, str]:
    """Return the state of a run and its error: `done` when costs and evaluation are there, `failed` when an error was
    noted, else `missing`."""
    record = read_run_record(folder)
    judged = all((folder / name).exists() for name in ("evaluation.json", "answers.json"))
    # Costs are written last, so their presence proves that all before them is complete. The identity guards against
    # a run of the same name that was made with other values.
    if judged and record.get("costs") and record.get("run") == spec.identity():
        return "done", ""
    try:
        return "failed", read_text(spec.failed).split("\n", maxsplit=1)[0]
    except PolytaskError:
        return "missing", ""


def read_run_record(folder: Path) -> dict[str, Any]:
    """Read the `study.json` of a run; {} when it does not exist, is damaged or holds something else: the run counts as
    not finished, and the study makes it again."""
    record = find_json_object(folder / STUDY_RECORD_FILE)
    costs = record.get("costs") or {}
    if not isinstance(costs, dict) or not all(
        map(_is_number_or_none, [*costs.values(), record.get("seconds")])
    ):
        return {}
    return record


def _is_number_or_none(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def claim_run_folder(folder: Path, spec: RunSpec) -> bool:
    """Whether the run can be resumed. A folder without any finished epoch is removed, so that the run starts anew.

    Raises:
        PolytaskError: the folder belongs to another run.
    """
    from polytask.training.folder import RUN_FILE_NAME

    if not folder.exists():
        return False
    was = read_run_record(folder).get("run")
    if was == spec.identity() and (folder / RUN_FILE_NAME).exists():
        return True
    # No note, no log and no checkpoint: the process was killed before its first epoch, so nothing is lost.
    if was is None and not (folder / "metrics.jsonl").exists() and not (folder / "best").exists():
        shutil.rmtree(folder)
        return False
    raise PolytaskError(
        f"{folder}: a run of this name exists, but it is not this study's or was made with other values; move it away, "
        "or begin another study with -o"
    )


@contextmanager
def count_run_seconds(folder: Path) -> Iterator[None]:
    """Add the seconds of the block to those noted in the run's folder, also after an interruption or an error, so that
    the time of all tries is counted."""
    started = time.perf_counter()
    try:
        yield
    finally:
        if folder.is_dir():
            before = float(read_run_record(folder).get("seconds") or 0)
            update_run_record(folder, seconds=before + time.perf_counter() - started)


def update_run_record(folder: Path, **changes: object) -> None:
    """Change values in the `study.json` of a run, completely or not at all."""
    write_plain_json(folder / STUDY_RECORD_FILE, {**read_run_record(folder), **changes})


def note_failure(spec: RunSpec, line: str, details: str) -> None:
    """Write `STUDY/failed/NAME.txt`: the error in one line, then all details."""
    spec.failed.parent.mkdir(parents=True, exist_ok=True)
    text = f"{' '.join(line.split())}\n\n{details.strip()}\n"
    write_text_atomically(spec.failed, text, spec.failed.with_suffix(".part"))


def note_error(spec: RunSpec, error: Exception) -> None:
    """Note the error that is being handled: its first line, with its type when it is not a message for users, and the
    traceback."""
    text = (str(error).strip().splitlines() or [""])[0]
    line = text if isinstance(error, PolytaskError) else f"{type(error).__name__}: {text}"
    note_failure(spec, line, traceback.format_exc())


def remove_failure_note(spec: RunSpec) -> None:
    """Remove the note of an earlier failure, which would keep the state at `failed` after this try succeeds."""
    for earlier in (spec.failed, spec.failed.with_suffix(".part")):
        earlier.unlink(missing_ok=True)
