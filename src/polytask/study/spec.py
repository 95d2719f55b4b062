"""One run of a study as plain data: what travels to the process that does it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from polytask.study.arms import Arm
from polytask.study.design import Design

RECORD = "study.json"
"""In the run's folder: which call made it, and what it cost; whole when the run is done."""


@dataclass(frozen=True)
class Spec:
    """What `run_one` does.

    Args:
        study: the study's folder. name: of the run.
        sharing, balance, preset: of the arm, see `Arm`.
        tasks: None = all. overrides: of the plan.
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

    def identity(self) -> dict[str, Any]:
        """What makes it this run and no other, as JSON gives it back: not where the study lies."""
        found = asdict(self)
        for key in ("study", "resamples"):
            found.pop(key)
        found["tasks"] = None if self.tasks is None else list(self.tasks)
        found["overrides"] = list(self.overrides)
        return found

    @property
    def active(self) -> Path:
        """Locked while a process works on the run."""
        return Path(self.study) / "active" / f"{self.name}.lock"

    @property
    def failed(self) -> Path:
        """Why it failed."""
        return Path(self.study) / "failed" / f"{self.name}.txt"


def run_name(study: str, arm: str, fold: int, seed: int) -> str:
    """Of the folder in `WORK/runs`."""
    return f"{study}.{arm}-fold{fold}-seed{seed}"


def specs_of(design: Design, folder: Path) -> list[Spec]:
    """Every run, seed by seed and fold by fold, so that a study cut short has all arms on the same folds."""
    return [spec_of(design, folder, a, f, s) for s in design.seeds for f in design.folds for a in design.arms]


def spec_of(design: Design, folder: Path, arm: Arm, fold: int, seed: int) -> Spec:
    """One of them."""
    return Spec(
        study=str(folder.resolve()),
        name=run_name(design.name, arm.name, fold, seed),
        arm=arm.name,
        sharing=arm.sharing,
        balance=arm.balance,
        preset=arm.preset,
        fold=fold,
        seed=seed,
        steps=design.steps,
        tasks=design.tasks,
        overrides=design.changes(),
        device=design.device,
        threads=design.threads,
        resamples=design.resamples,
    )
