"""`RunRequest`: the options of one run, whether they come from the command line, from Python or from a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from polytask.errors import suggest_word


@dataclass(frozen=True)
class RunRequest:
    """The options of one run: everything that decides its weights, and how its process works. Each has a default.

    Of a run that is resumed, only `extend`, `workers` and `device` count beside `resume`; its folder has the rest.

    Args:
        fold: which fold of the plan.
        seed: of weights, order, augmentation and dropout.
        preset: a published system, see `plan.presets`; what follows overrides parts of it.
        sharing: how tasks share a network, a member of this registry; the plan's by default. `single` fits one network
            after another, for each task.
        visit_fusion: how visits become one, a member of this registry; the plan's by default.
        input_fusion: how inputs become one, a member of this registry; the plan's by default.
        balance: how the tasks' losses become one step, a member of this registry; the plan's by default.
        cut: where a balancing rule takes gradients, `features` or `parameters`; the plan's by default.
        after: task → tasks whose answers it reads.
        name: of the run; `PRESET-foldF-seedS` by default, or `SHARING-foldF-seedS` without a preset.
        tasks: only these; all by default.
        minutes: a time budget; the number of steps follows the speed of the machine.
        steps: of every network, instead of the plan's epochs.
        match: name of a run whose number of steps is taken over (a fair baseline).
        init: a run or model folder whose weights, where names and shapes agree, are the start.
        overrides: changes of the plan, `training.epochs=4` and the like.
        resume: name of a run to go on with.
        extend: epochs to add behind the planned end (with `resume`).
        workers: data processes; the plan's by default. Does not change the result.
        keep_sizes: nothing is planned again, neither for a value set by hand nor to fit into memory; so the arms of a
            study have the same sizes.
        device: `cpu`, `cuda`, `cuda:1` or `mps`; the best there is by default.
    """

    fold: int = 0
    seed: int = 0
    preset: str | None = None
    sharing: str | None = None
    visit_fusion: str | None = None
    input_fusion: str | None = None
    balance: str | None = None
    cut: str | None = None
    after: Mapping[str, Sequence[str]] | None = None
    name: str | None = None
    tasks: Sequence[str] | None = None
    minutes: float | None = None
    steps: int | None = None
    match: str | None = None
    init: Path | str | None = None
    overrides: Sequence[str] = ()
    resume: str | None = None
    extend: int = 0
    workers: int | None = None
    keep_sizes: bool = False
    device: str | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> RunRequest:
        """Make a request of keywords.

        Raises:
            TypeError: a keyword is unknown; the message names the nearest one.
        """
        known = [each.name for each in fields(cls)]
        for name in options:
            if name not in known:
                raise TypeError(f"train() has no option {name!r}; {suggest_word(name, [*known, 'reporter'])}")
        return cls(**options)
