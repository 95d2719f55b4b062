"""`Study`: a study's folder as its files tell it. There is no other record of how far it has come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from polytask.documents.json_reader import find_json_object
from polytask.documents.text import read_text
from polytask.errors import PolytaskError
from polytask.locks import is_held, read_note
from polytask.study.arms import Arm
from polytask.study.design import Design
from polytask.study.spec import RECORD, Spec, spec_of, specs_of

if TYPE_CHECKING:
    import pyarrow as pa

State = Literal["done", "failed", "missing"]
RESULTS = "results.parquet"


@dataclass(frozen=True)
class StudyRun:
    """One run of the matrix.

    Args:
        folder: `WORK/runs/NAME`; it need not be there yet.
        state: `done` = trained and evaluated; `failed` = its last try ended in an error; else `missing`, which also
            covers a run that was begun and goes on with the next command.
        error: first line of the error.
        spec: what it is made with.
    """

    arm: Arm
    fold: int
    seed: int
    folder: Path
    state: State
    error: str
    spec: Spec

    @property
    def name(self) -> str:
        """Of the run."""
        return self.spec.name

    @property
    def active(self) -> bool:
        """Whether a process works on it now."""
        return is_held(self.spec.active)

    @property
    def begun(self) -> bool:
        """Whether something of it is there to go on with."""
        return self.state != "done" and (self.folder / "last").is_dir()

    @property
    def progress(self) -> tuple[float, str]:
        """Share that is done and what is going on, of an active run."""
        said = read_note(self.spec.active)
        return float(said.get("share", 0.0)), str(said.get("what", ""))

    @cached_property
    def record(self) -> dict[str, Any]:
        """What `run_one` noted of it: `costs` when it is done, `seconds` it took so far."""
        return read_record(self.folder)


@dataclass(frozen=True)
class Study:
    """A study and its runs.

    >>> study = Study.read("work/studies/study")           # doctest: +SKIP
    >>> [run.name for run in study.runs if run.state == "failed"]           # doctest: +SKIP
    """

    folder: Path
    design: Design
    work: Path
    runs: tuple[StudyRun, ...]

    @classmethod
    def read(cls, folder: Path | str) -> Study:
        """From `study.yaml` and the run folders.

        Raises:
            PolytaskError: not a study.
        """
        folder = Path(folder)
        design = Design.read(folder)
        return cls.of(folder, design)

    @classmethod
    def of(cls, folder: Path, design: Design) -> Study:
        """The runs of a design, each with its present state."""
        work = (folder / design.work).resolve()
        arms = {arm.name: arm for arm in design.arms}
        runs = [look(arms[spec.arm], spec, work) for spec in specs_of(design, folder)]
        return cls(folder, design, work, tuple(runs))

    def look_again(self) -> Study:
        """The same runs in their present state. What is done stays so and is not read again."""
        runs = [run if run.state == "done" else look(run.arm, run.spec, self.work) for run in self.runs]
        return replace(self, runs=tuple(runs))

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The columns, `single` first."""
        return self.design.arms

    @property
    def results(self) -> Path:
        """`results.parquet`, written while runs are done (at most a fifth of them are missing) and at the end."""
        return self.folder / RESULTS

    def of_arm(self, arm: str) -> Iterator[StudyRun]:
        """The runs of an arm, seed by seed."""
        return (run for run in self.runs if run.arm.name == arm)

    def run(self, arm: str, fold: int, seed: int) -> StudyRun:
        """One run, looked at now."""
        found = next(a for a in self.arms if a.name == arm)
        return look(found, spec_of(self.design, self.folder, found, fold, seed), self.work)

    def table(self) -> pa.Table:
        """`results.parquet`."""
        from polytask.study.results import read_results

        return read_results(self.results)


def look(arm: Arm, spec: Spec, work: Path) -> StudyRun:
    """The state of one run."""
    folder = work / "runs" / spec.name
    state, error = state_of(spec, folder)
    return StudyRun(arm, spec.fold, spec.seed, folder, state, error, spec)


def state_of(spec: Spec, folder: Path) -> tuple[State, str]:
    """From the files: done with its costs noted and an evaluation; failed with a note of why."""
    record = read_record(folder)
    judged = all((folder / name).exists() for name in ("evaluation.json", "answers.json"))
    if judged and record.get("costs") and record.get("run") == spec.identity():
        return "done", ""
    try:
        return "failed", read_text(spec.failed).split("\n", maxsplit=1)[0]
    except PolytaskError:
        return "missing", ""


def read_record(folder: Path) -> dict[str, Any]:
    """`study.json` of a run; {} when it is not there."""
    return find_json_object(folder / RECORD)
