"""One run of a study as plain data, in the form in which it is sent to its process."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from polytask.model.sharing_names import LIGHT, name_block_form
from polytask.study.arms import MEASURING_ARM, Arm, name_older_values
from polytask.study.study_design import StudyDesign
from polytask.training.run_request import RunRequest

STUDY_RECORD_FILE = "study.json"
"""File in the folder of a run: the values it was made with and its costs; complete once the run is done."""


@dataclass(frozen=True)
class RunSpec:
    """Everything `run_one` needs to do one run.

    Args:
        study: folder of the study. name: name of the run.
        sharing, balance, preset, form, values: those of the arm, see `Arm`.
        tasks: names of the tasks, None = all. overrides: changed values of the plan.
        groups: number of networks that the tasks are grouped into; 0 = no grouping. measured_by: name of the run whose
            affinities decide the groups: that of another arm, on the same fold with the same seed.
    """

    study: str
    name: str
    arm: str
    sharing: str
    balance: str
    preset: str
    fold: int
    seed: int
    steps: int
    tasks: tuple[str, ...] | None
    overrides: tuple[str, ...]
    device: str
    threads: int
    resamples: int
    form: str = ""
    values: tuple[str, ...] = ()
    groups: int = 0
    measured_by: str = ""

    def identity(self) -> dict[str, Any]:
        """Return the values that identify the run, in the form JSON reads back, without the folder of the study."""
        values = asdict(self)
        # A study may be moved, and the number of resamples changes no weights: neither makes it another run.
        for key in ("study", "resamples"):
            values.pop(key)
        # Runs of older studies have neither form nor values of their own, and are still recognized.
        if not self.form:
            values.pop("form")
        values["values"] = list(self.values)
        if not self.values:
            values.pop("values")
        if not self.groups:
            values.pop("groups")
            values.pop("measured_by")
        values["tasks"] = None if self.tasks is None else list(self.tasks)
        values["overrides"] = list(self.overrides)
        return values

    def make_run_request(self) -> RunRequest:
        """Ask for the run that these values describe. A preset brings its own sharing."""
        return RunRequest(
            name=self.name,
            fold=self.fold,
            seed=self.seed,
            preset=self.preset or None,
            sharing=None if self.preset else name_block_form(self.sharing, self.form or LIGHT),
            balance=self.balance,
            steps=self.steps,
            tasks=self.tasks,
            overrides=(
                *name_older_values(self.sharing, self.preset, self.form),
                *self.overrides,
                *self.values,
            ),
            keep_sizes=True,
            device=self.device,
        )

    @property
    def active(self) -> Path:
        """Path of the file that is locked while a process works on the run."""
        return Path(self.study) / "active" / f"{self.name}.lock"

    @property
    def failed(self) -> Path:
        """Path of the note that says why the run failed."""
        return Path(self.study) / "failed" / f"{self.name}.txt"


def name_run(study: str, arm: str, fold: int, seed: int) -> str:
    """Return the name of the folder of a run in `WORK/runs`."""
    return f"{study}.{arm}-fold{fold}-seed{seed}"


def list_run_specs(design: StudyDesign, folder: Path) -> list[RunSpec]:
    """List every run, seed by seed and fold by fold, so that an unfinished study has all arms on the same folds."""
    return [
        build_run_spec(design, folder, a, f, s)
        for s in design.seeds
        for f in design.folds
        for a in design.arms
    ]


def build_run_spec(design: StudyDesign, folder: Path, arm: Arm, fold: int, seed: int) -> RunSpec:
    """Build the values of the run of one arm on one fold with one seed."""
    return RunSpec(
        study=str(folder.resolve()),
        name=name_run(design.name, arm.name, fold, seed),
        arm=arm.name,
        sharing=arm.sharing,
        balance=arm.balance,
        preset=arm.preset,
        fold=fold,
        seed=seed,
        steps=design.steps,
        tasks=design.tasks,
        overrides=design.list_plan_overrides(),
        device=design.device,
        threads=design.threads,
        resamples=design.resamples,
        form=arm.form,
        values=arm.values,
        groups=arm.groups,
        measured_by=name_run(design.name, MEASURING_ARM, fold, seed) if arm.groups else "",
    )
