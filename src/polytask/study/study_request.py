"""What the user asks of a study. A value that is left out is taken from the existing study, or is the default."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from polytask.errors import PolytaskError
from polytask.model.sharing_names import LIGHT_NAMES
from polytask.study.arm_text import ArmText, read_arm_text
from polytask.study.arms import MEASURING_ARM

SETTINGS_OF_THE_STUDY = {
    "model.sharing": "--sharing",
    "model.preset": "--preset",
    "training.balance.rule": "--balance",
    "training.balance.cut": "--cut",
    "training.patience": "nothing: every run gets the whole budget",
    "training.threads": "--jobs: the plan's threads are divided among the runs at a time",
    "training.epochs": "--steps",
}
"""Plan value that the study itself decides → what the user can set instead."""


@dataclass(frozen=True)
class StudyRequest:
    """The matrix of runs and its budget. None = the value of the existing study; in a new study the default.

    Args:
        sharing: names of sharing blocks (default: hard); `single` is always part of a study.
        balance: names of balancing rules, each combined with each sharing and preset (default: equal).
        presets: published systems, as further arms.
        arms: further arms with values of their own, such as `narrow: preset=ctan, model.form=light`.
        folds: number of folds, the first ones of the plan (default: all).
        seeds: number of seeds, counted from 0 (default: 3).
        steps: optimizer steps of every network. minutes: minutes of a run of the slowest joint arm, converted into
            steps once.
        tasks: train only these tasks.
        overrides: texts such as `training.rate=3e-4`, for all arms.
        cut: where balancing rules take gradients, `features` or `parameters`.
        device: device of every run. resamples: bootstrap resamples in the evaluation of each run.
        margins: loss that a saving may accept: `2.5` for tasks in points, `lesion=3` for one (`study/margins.py`).
    """

    sharing: tuple[str, ...] | None = None
    balance: tuple[str, ...] | None = None
    presets: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
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

    def refuse_invalid_values(self) -> None:
        """Refuse everything that is wrong without looking at data: unknown names and impossible numbers.

        Raises:
            PolytaskError: the first fault.
        """
        for complaint in self._list_invalid_values():
            raise PolytaskError(complaint)
        from polytask.plan.presets import PRESETS
        from polytask.training.run_plan import require_member

        for member in self.sharing or ():
            if member not in LIGHT_NAMES.values():
                require_member("sharing", member)
        for member in self.balance or ():
            require_member("balance", member)
        from polytask.errors import suggest_word

        for name in self.presets:
            if name not in PRESETS:
                raise PolytaskError(f"--preset {name}: {suggest_word(name, list(PRESETS))}")
        texts = self.list_arm_texts()
        names = [text.name for text in texts]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise PolytaskError(f"--arm {repeated[0]}: two arms have this name")
        for text in texts:
            if text.preset and text.preset not in PRESETS:
                problem = suggest_word(text.preset, list(PRESETS))
                raise PolytaskError(f"--arm {text.name}: preset={text.preset}: {problem}")
            for key, member in (("sharing", text.sharing), ("balance", text.balance)):
                if member and member not in LIGHT_NAMES.values():
                    require_member(key, member, f"--arm {text.name}: {key}=")

    def list_arm_texts(self) -> tuple[ArmText, ...]:
        """Read the arms with values of their own.

        Raises:
            PolytaskError: a text that is not one, an unknown key, or a value that the study fixes.
        """
        from polytask.plan.presets import PRESETS
        from polytask.registries import load_registry

        taken = {*PRESETS, *load_registry("sharing"), *LIGHT_NAMES.values()} if self.arms else set()
        return tuple(read_arm_text(text, taken) for text in self.arms)

    def choose_sharing(self, usual: tuple[str, ...]) -> tuple[str, ...]:
        """Choose the sharing blocks to compare: those asked for, else what other arms need, else the usual ones."""
        if self.sharing is not None:
            return self.sharing
        if any(text.groups for text in self.list_arm_texts()):
            return (MEASURING_ARM,)
        return () if self.presets or self.arms else usual

    def _list_invalid_values(self) -> Iterator[str]:
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
            # `shared.model.sharing` and `model.sharing` name the same value of the plan.
            name = text.partition("=")[0].strip().removeprefix("shared.")
            if name in SETTINGS_OF_THE_STUDY:
                yield (
                    f"--set {text}: a study decides {name} itself, the same way for all arms; use "
                    f"{SETTINGS_OF_THE_STUDY[name]}"
                )
