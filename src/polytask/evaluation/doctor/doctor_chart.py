"""The doctor's chart of a run: everything that the checks read of its plan and its log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from polytask.balance import RULES
from polytask.errors import PolytaskError
from polytask.evaluation.doctor.training_curves import TrainingCurves, read_log_number
from polytask.evaluation.run_costs import read_network_logs
from polytask.plan.plan_schema import Plan, TrainingPlan
from polytask.tasks.task import Task
from polytask.training.assemble import make_tasks
from polytask.training.folder import Run

MIN_GRADIENT_LOOKS = 5
"""Fewer gradient records than this are not judged: 'most' of four is three, which chance reaches."""
MIN_EPOCHS_TO_JUDGE = 4
"""The course of a loss over fewer epochs than this is not judged: the first epoch is spent on warming up."""
DEFAULT_LEARNING_RATE = 1e-3
"""The learning rate that the plan gives AdamW by default."""


@dataclass(frozen=True)
class DoctorChart:
    """Everything that the doctor reads of a run: its settings, tasks and training curves.

    Args:
        settings: `training` of the run's plan.
        constants: task → loss of its best constant answer, which its loss was divided by.
        dropout: dropout of the pooled heads.
        courses: training curves, one for each network.
    """

    run: Run
    settings: TrainingPlan
    tasks: Mapping[str, Task]
    constants: Mapping[str, float]
    dropout: float
    courses: tuple[TrainingCurves, ...]

    @classmethod
    def read(cls, folder: Path | str) -> DoctorChart:
        """Read a run's record, plan and log from its folder.

        Raises:
            PolytaskError: not a run, or nothing was logged.
        """
        run = Run.read(folder)
        plan, fold = Plan.read(run.folder), int(run.record["fold"])
        if fold not in plan.folds:
            raise PolytaskError(
                f"{run.folder / 'plan.yaml'}: fold {fold} of the run is not in it; restore plan.yaml"
            )
        asked = [t for names in run.networks.values() for t in names]
        tasks = make_tasks(plan.folds[fold], asked)
        # The plan of a run is an editable file: a task may have been removed from it.
        if lost := [t for t in asked if t not in tasks]:
            raise PolytaskError(
                f"{run.folder / 'plan.yaml'}: task {lost[0]!r} of the run is not in it; restore plan.yaml"
            )
        path = run.folder / "metrics.jsonl"
        try:
            log = read_network_logs(run.folder)
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
            {t: read_log_number(plan.folds[fold].tasks[t].get("constant")) for t in asked},
            plan.shared.model.dropout,
            tuple(TrainingCurves.of(n, names, log.get(n, [])) for n, names in run.networks.items()),
        )

    @property
    def reads_gradients(self) -> bool:
        """Whether the balancing rule reads the gradients of the tasks."""
        # A rule that is not registered (its plugin is not loaded) is treated like one that reads gradients.
        rule = RULES.get(self.settings.balance.rule)
        return getattr(rule, "reads", "gradients") == "gradients"

    @property
    def command(self) -> str:
        """The command that trains this plan again."""
        return f"polytask train {self.run.work}"

    @property
    def lower_learning_rate(self) -> float:
        """A lower learning rate to try: a third of this run's, and at most the usual one."""
        return min(self.settings.rate / 3, DEFAULT_LEARNING_RATE)

    @property
    def looks(self) -> int:
        """Number of gradient records, of the network with the fewest among those with several tasks."""
        return min((len(c.look_steps) for c in self.courses if len(c.tasks) > 1), default=0)

    @property
    def epochs(self) -> int:
        """Number of epochs of the network that was trained shortest."""
        return min(len(c.means) for c in self.courses)

    @property
    def longer_log_advice(self) -> str:
        """Advice on how to get a log with enough records to judge; "" when it has enough."""
        if self.epochs < MIN_EPOCHS_TO_JUDGE:
            return f"train at least {MIN_EPOCHS_TO_JUDGE} epochs"
        if any(len(c.tasks) > 1 for c in self.courses) and self.looks < MIN_GRADIENT_LOOKS:
            steps = max(c.steps for c in self.courses)
            every = max(1, steps // (2 * MIN_GRADIENT_LOOKS))
            return f"record gradients more often with --set training.balance.log_every={every}"
        return ""

    def weight(self, task: str) -> float:
        """Return the weight of a task's loss that was set by hand; 1 by default."""
        return self.settings.weights.get(task, 1.0)

    def is_voxel(self, task: str) -> bool:
        """Whether a task answers for every voxel."""
        return self.tasks[task].level == "voxel"
