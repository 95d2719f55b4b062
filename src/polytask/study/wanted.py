"""What a person asks of a study; what is left out is the study's own, or the default."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from polytask.errors import PolytaskError

OWN = {
    "model.sharing": "--sharing",
    "model.preset": "--preset",
    "training.balance.rule": "--balance",
    "training.balance.cut": "--cut",
    "training.patience": "nothing: every run gets the whole budget",
    "training.threads": "--jobs: the plan's threads are divided among the runs at a time",
    "training.epochs": "--steps",
}
"""Value of a plan that a study decides → what decides it instead."""


@dataclass(frozen=True)
class Wanted:
    """The matrix and its budget. None = as the study has it; in a new one the default.

    Args:
        sharing: members of that registry (default: hard); `single` is always there.
        balance: rules, each crossed with each sharing and preset (default: equal).
        presets: published systems, as further arms.
        folds: the first so many of the plan (default: all). seeds: so many, from 0 on (default: 3).
        steps: of every network. minutes: of a run of the slowest joint arm, turned into steps once.
        tasks: only these.
        overrides: `training.rate=3e-4` and the like, for all arms.
        cut: where balancing rules take gradients.
        device: of every run. resamples: of the bootstrap of each run's evaluation.
        margins: loss that a saving may overlook: `2.5` for tasks in points, `lesion=3` for one (`study/margins.py`).
    """

    sharing: tuple[str, ...] | None = None
    balance: tuple[str, ...] | None = None
    presets: tuple[str, ...] = ()
    folds: int | None = None
    seeds: int | None = None
    steps: int | None = None
    minutes: float | None = None
    tasks: tuple[str, ...] | None = None
    overrides: tuple[str, ...] | None = None
    cut: str | None = None
    device: str | None = None
    resamples: int | None = None
    margins: tuple[str, ...] | None = None

    def refuse_nonsense(self) -> None:
        """Whatever can be refused without looking at data: unknown names, numbers that cannot be.

        Raises:
            PolytaskError: the first of them.
        """
        for complaint in self._complaints():
            raise PolytaskError(complaint)
        from polytask.plan.presets import PRESETS
        from polytask.training.run_plan import choose

        for member in self.sharing or ():
            choose("sharing", member)
        for member in self.balance or ():
            choose("balance", member)
        from polytask.errors import nearest

        for name in self.presets:
            if name not in PRESETS:
                raise PolytaskError(f"--preset {name}: {nearest(name, list(PRESETS))}")

    def _complaints(self) -> Iterator[str]:
        for option, value in (("folds", self.folds), ("seeds", self.seeds), ("steps", self.steps)):
            if value is not None and value < 1:
                yield f"--{option} {value}: expected 1 or more"
        if self.steps is not None and self.minutes is not None:
            yield "--steps and --minutes-per-run each say how long to train: give one of them"
        if self.minutes is not None and self.minutes <= 0:
            yield f"--minutes-per-run {self.minutes:g}: expected more than 0"
        if self.cut not in (None, "features", "parameters"):
            yield f"--cut {self.cut}: expected features or parameters"
        if self.sharing == ():
            yield "--sharing names nothing: expected names such as hard,mtan"
        if self.balance == ():
            yield "--balance names nothing: expected names such as equal,famo"
        for text in self.overrides or ():
            name = text.partition("=")[0].strip().removeprefix("shared.")
            if name in OWN:
                yield f"--set {text}: a study decides {name} itself, the same way for all arms; use {OWN[name]}"
