"""A run as the doctor sees it: its plan, and its log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from polytask.balance import RULES
from polytask.errors import PolytaskError
from polytask.evaluation.costs import read_log
from polytask.evaluation.doctor.course import Course, number
from polytask.plan.files import read_plan
from polytask.plan.plan import Training
from polytask.tasks.task import Task
from polytask.training.assemble import make_tasks
from polytask.training.folder import Run

LOOKS = 5
"""With fewer looks at the gradients nothing is said of them: 'most' of four is three, and luck reaches that."""
EPOCHS = 4
"""With fewer epochs nothing is said of how a loss went: the first is spent on warming up."""
USUAL_RATE = 1e-3
"""What the plan starts AdamW with."""


@dataclass(frozen=True)
class Chart:
    """Everything the doctor reads.

    Args:
        settings: `training` of the run's plan.
        constants: task → loss of its best constant answer, which its loss was divided by.
        dropout: of the pooled heads.
        courses: one for each network.
    """

    run: Run
    settings: Training
    tasks: Mapping[str, Task]
    constants: Mapping[str, float]
    dropout: float
    courses: tuple[Course, ...]

    @classmethod
    def read(cls, folder: Path | str) -> Chart:
        """A run's record, plan and log.

        Raises:
            PolytaskError: not a run, or nothing was logged.
        """
        run = Run.read(folder)
        plan, fold = read_plan(run.folder), int(run.record["fold"])
        if fold not in plan.folds:
            raise PolytaskError(
                f"{run.folder / 'plan.yaml'}: fold {fold} of the run is not in it; restore plan.yaml"
            )
        asked = [t for names in run.networks.values() for t in names]
        tasks = make_tasks(plan.folds[fold], asked)
        if lost := [t for t in asked if t not in tasks]:
            raise PolytaskError(
                f"{run.folder / 'plan.yaml'}: task {lost[0]!r} of the run is not in it; restore plan.yaml"
            )
        path = run.folder / "metrics.jsonl"
        try:
            log = read_log(run.folder)
        except UnicodeDecodeError:
            raise PolytaskError(
                f"{path}: is not text; expected JSON lines; restore it or train again"
            ) from None
        if not log:
            raise PolytaskError(
                f"{path}: nothing was logged; expected a line per epoch; go on with `polytask train {run.work} "
                f"--resume {run.folder.name}`"
            )
        return cls(
            run,
            plan.shared.training,
            tasks,
            {t: number(plan.folds[fold].tasks[t].get("constant")) for t in asked},
            plan.shared.model.dropout,
            tuple(Course.of(n, names, log.get(n, [])) for n, names in run.networks.items()),
        )

    @property
    def reads_gradients(self) -> bool:
        """Whether the balancing rule does."""
        rule = RULES.get(self.settings.balance.rule)
        return getattr(rule, "reads", "gradients") == "gradients"

    @property
    def command(self) -> str:
        """How to train again."""
        return f"polytask train {self.run.work}"

    @property
    def gentler(self) -> float:
        """A lower learning rate; the usual one where this run's was far above."""
        return min(self.settings.rate / 3, USUAL_RATE)

    @property
    def looks(self) -> int:
        """At the gradients, of the network with the fewest that has several tasks."""
        return min((len(c.look_steps) for c in self.courses if len(c.tasks) > 1), default=0)

    @property
    def epochs(self) -> int:
        """Of the shortest network."""
        return min(len(c.means) for c in self.courses)

    @property
    def lacks(self) -> str:
        """What would let more be said; "" when the log is long enough."""
        if self.epochs < EPOCHS:
            return f"train at least {EPOCHS} epochs"
        if any(len(c.tasks) > 1 for c in self.courses) and self.looks < LOOKS:
            steps = max(c.steps for c in self.courses)
            return f"look more often with --set training.balance.log_every={max(1, steps // (2 * LOOKS))}"
        return ""

    def weight(self, task: str) -> float:
        """Set by hand."""
        return self.settings.weights.get(task, 1.0)

    def is_voxel(self, task: str) -> bool:
        """Whether it answers for every voxel."""
        return self.tasks[task].level == "voxel"
