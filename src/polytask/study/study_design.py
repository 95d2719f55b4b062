"""`study.yaml`: the arms, folds, seeds and budget of a study; fixed before the first run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import TypeAdapter

from polytask.atomic_files import write_text_atomically
from polytask.documents.document_errors import DocumentError, convert_content_errors
from polytask.documents.yaml_reader import read_yaml
from polytask.errors import PolytaskError
from polytask.plan.plan_schema import BalancePlan
from polytask.study.arms import Arm
from polytask.study.study_request import StudyRequest

STUDY_FILE = "study.yaml"
MIN_GRADIENT_LOGS = 20
"""The log of a run records the gradients of the tasks at least this many times, however short the run is."""


@dataclass(frozen=True)
class StudyHashes:
    """Hashes of everything the runs of a study have in common; a change between two runs is refused.

    Args:
        plan: fold → hash of its plan, without the reasons and the number of data workers.
        splits: hash of `splits.json`. cohort: hash of header and table. store: hash of the prepared arrays.
    """

    plan: dict[int, str]
    splits: str
    cohort: str
    store: str


@dataclass(frozen=True)
class RatioQuartiles:
    """Median and quartiles of the ratio of two times that were measured one after the other, in pairs."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, these: Sequence[float], those: Sequence[float]) -> RatioQuartiles:
        """Divide `these` by `those` pair by pair and summarize the ratios."""
        low, middle, high = np.percentile(np.divide(these, those), [25, 50, 75]).tolist()
        return cls(middle, low, high)


@dataclass(frozen=True)
class ArmTiming:
    """The seconds one arm needs, measured before the first run.

    Args:
        step: seconds of an optimizer step; with several networks, the sum of one step of each.
        tune: seconds of an evaluation on tune, summed over all networks.
        parameters: number of weights of all networks.
        beside: one step ÷ one step of each single network in the same round; None when those could not be timed.
    """

    step: float
    tune: float
    parameters: int
    beside: RatioQuartiles | None = None

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> ArmTiming:
        """Read the timing of one arm from the content of `study.yaml`."""
        beside = content.get("beside")
        return cls(**{**content, "beside": RatioQuartiles(**beside) if beside else None})


@dataclass(frozen=True)
class StudyDesign:
    """Everything that defines the runs of a study; saved as `study.yaml`.

    Args:
        work: the work folder, relative to the folder of the study.
        folds, seeds: numbers of the folds and seeds; every arm runs on all of them.
        steps: optimizer steps of every network. how: in words, where the number comes from.
        minutes: minutes per run that were asked for, when the steps come from them.
        tune_every: epochs between two evaluations on tune, the same for every arm.
        threads, precision, device: the same for every run. tasks: names of the tasks, None = all.
        rests: hashes of plan, splits, cohort and store. paces: arm → its timing, where measured.
        commands: each command that created or extended the study.
        margins: task → the largest loss that a recommended saving may accept, in the unit of the task's differences.
        affinity: share of the training time in which affinities between the tasks are measured; 0 in older studies.
    """

    name: str
    work: str
    arms: tuple[Arm, ...]
    folds: tuple[int, ...]
    seeds: tuple[int, ...]
    steps: int
    how: str
    minutes: float | None
    tune_every: int
    threads: int
    precision: str
    device: str
    cut: str | None
    tasks: tuple[str, ...] | None
    overrides: tuple[str, ...]
    resamples: int
    rests: StudyHashes
    paces: Mapping[str, ArmTiming] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    margins: Mapping[str, float] = field(default_factory=dict)
    affinity: float = 0.0

    def list_plan_overrides(self) -> tuple[str, ...]:
        """List the plan values that every run gets as `--set`: the study's own values, after those given by hand."""
        cut = (f"training.balance.cut={self.cut}",) if self.cut else ()
        fixed = ("training.patience=0", f"training.tune_every={self.tune_every}")
        log_every = max(1, min(BalancePlan().log_every, self.steps // MIN_GRADIENT_LOGS))
        gradient_log = f"training.balance.log_every={log_every}"
        affinity = (f"training.balance.affinity={self.affinity:g}",) if self.affinity else ()
        # Later values win: a person may change how often gradients are logged, but neither patience nor threads.
        return (gradient_log, *affinity, *self.overrides, *cut, *fixed, f"training.threads={self.threads}")

    def write(self, folder: Path) -> None:
        """Write `STUDY/study.yaml` completely or not at all."""
        try:
            write_text_atomically(folder / STUDY_FILE, _render_study_yaml(self))
        except OSError as error:
            raise PolytaskError(
                f"{folder}: cannot be written ({error.strerror}); choose another folder with -o"
            ) from None

    @classmethod
    def read(cls, folder: Path) -> StudyDesign:
        """Read and check the `study.yaml` that `write` wrote."""
        path = folder / STUDY_FILE
        what, remedy = "the record of a study", "restore it, or begin another study with -o"
        try:
            content = read_yaml(path, what, remedy)
        except DocumentError as error:
            if not error.missing:
                raise
            raise PolytaskError(
                f"{folder}: not a study (no {STUDY_FILE}); expected STUDY; begin one with `polytask study WORK -o "
                f"{folder}`"
            ) from None
        with convert_content_errors(path, what, remedy):
            content.pop("polytask")
            content["arms"] = tuple(Arm(**arm) for arm in content["arms"])
            content["rests"] = StudyHashes(**content["rests"])
            content["paces"] = {arm: ArmTiming.read(pace) for arm, pace in content["paces"].items()}
            for key in ("folds", "seeds", "overrides", "commands", "tasks"):
                content[key] = None if content[key] is None else tuple(content[key])
            # Dataclasses check no types; a hand-edited file must fail here with its place, not in the middle of a run.
            design: StudyDesign = TypeAdapter(cls).validate_python(asdict(cls(**content)))
            if not design.folds or not design.seeds or not design.arms:
                raise ValueError("expected arms, folds and seeds")
            if min(design.steps, design.tune_every, design.threads, design.resamples) < 1:
                raise ValueError("expected steps, tune_every, threads and resamples of 1 or more")
            # Without its hash, a changed plan of that fold would pass unnoticed.
            if lost := set(design.folds) - set(design.rests.plan):
                raise ValueError(f"no hash of the plan of fold {min(lost)}")
            return design

    def extended(self, other: StudyDesign, command: str) -> StudyDesign:
        """Return this design plus the arms, folds and seeds of another; the same design when nothing is new.

        A timing that was measured together with the single networks stays; any other may be replaced.
        """
        names = {arm.name for arm in self.arms}
        merged = replace(
            self,
            arms=(*self.arms, *(arm for arm in other.arms if arm.name not in names)),
            folds=tuple(sorted({*self.folds, *other.folds})),
            seeds=tuple(sorted({*self.seeds, *other.seeds})),
            # A ratio is only fair when both arms were timed in the same rounds, so such a timing is never replaced.
            paces={**self.paces, **{a: p for a, p in other.paces.items() if not self.timed(a)}},
        )
        if (merged.arms, merged.folds, merged.seeds) == (self.arms, self.folds, self.seeds):
            return merged
        return replace(merged, commands=(*self.commands, command) if command else self.commands)

    def timed(self, arm: str) -> bool:
        """Whether an arm's steps were timed together with those of the single networks."""
        return arm in self.paces and self.paces[arm].beside is not None


def refuse_other_budget(design: StudyDesign, request: StudyRequest, folder: Path) -> None:
    """Refuse a budget or values that differ from the study's: a study may grow, but its runs must stay comparable.

    Raises:
        PolytaskError: names what the study has and what was asked for.
    """
    values_by_option = {
        "--steps": (request.steps, design.steps),
        "--minutes-per-run": (request.minutes, design.minutes),
        "--tasks": (request.tasks, design.tasks),
        "--set": (request.overrides or None, design.overrides),
        "--cut": (request.cut, design.cut),
        "--device": (request.device, design.device),
        "--resamples": (request.resamples, design.resamples),
    }
    for option, (requested, has) in values_by_option.items():
        if requested is None or requested == has:
            continue
        # None and () both mean that the option was not used when the study began.
        ours = "without this option" if has in (None, ()) else f"it has {_format_option_value(has)}"
        raise PolytaskError(
            f"{folder}: {option} {_format_option_value(requested)}: the study began with another budget or other "
            f"values ({ours}), and all its runs must stay comparable; leave {option} out to continue, or begin another "
            "study with -o"
        )


def refuse_changes(design: StudyDesign, current: StudyHashes, folder: Path, work: Path) -> None:
    """Refuse to continue when cohort, splits, plan or store are not what they were when the study began.

    Raises:
        PolytaskError: names what has changed.
    """
    recorded, reason = design.rests, "the runs before and after would not be comparable"
    alternative = "or begin another study with -o"
    if recorded.cohort != current.cohort:
        raise PolytaskError(
            f"{folder}: the study belongs to another cohort than {work}, or header or table have changed since it "
            f"began (digest {recorded.cohort[:8]}, now {current.cohort[:8]}); restore them, {alternative}"
        )
    if recorded.splits != current.splits:
        raise PolytaskError(
            f"{work / 'splits.json'}: the folds have changed since the study {folder} began; {reason}: restore the "
            f"file, {alternative}"
        )
    changed = [fold for fold in recorded.plan if recorded.plan[fold] != current.plan.get(fold)]
    if changed or set(recorded.plan) != set(current.plan):
        where = (
            "for all folds"
            if len(changed) == len(recorded.plan)
            else f"for fold {', '.join(map(str, changed))}"
        )
        raise PolytaskError(
            f"{work / 'plan.yaml'}: the plan has changed {where} since the study {folder} began; {reason}: restore the "
            f"file, {alternative}"
        )
    if recorded.store != current.store:
        raise PolytaskError(
            f"{work / 'store'}: the prepared data have changed since the study {folder} began (content "
            f"{recorded.store[:8]}, now {current.store[:8]}); {reason}: restore the files and prepare "
            f"again, {alternative}"
        )


def _format_option_value(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _render_study_yaml(design: StudyDesign) -> str:
    content = {"polytask": 1, **asdict(design)}
    head = "# A study, written by `polytask study`. All its runs use the values in this file.\n"
    return head + yaml.safe_dump(_convert_to_lists(content), sort_keys=False, allow_unicode=True, width=110)


def _convert_to_lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _convert_to_lists(inner) for key, inner in value.items()}
    return [_convert_to_lists(inner) for inner in value] if isinstance(value, list | tuple) else value
