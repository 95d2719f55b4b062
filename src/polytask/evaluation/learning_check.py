"""Checks whether a run learned anything at all. It is reported first: metrics of a constant answer mean nothing.

There are two kinds of evidence. The training log: every loss is divided by the loss of the best constant answer, so a
loss that ends near 1 is no better than a constant. And the answers: no mask anywhere, one class or number for
everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from polytask.evaluation.evaluation_result import Estimate
from polytask.evaluation.metric_estimates import list_class_names
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.run_costs import RunLogEntry, list_epoch_entries, read_network_logs
from polytask.inference.pooled_answers import PooledAnswers
from polytask.kinds import find_answer_form
from polytask.plan.plan_schema import Plan
from polytask.tasks.task import Task, expect_pooled_task
from polytask.training.folder import Run

UNLEARNED_LOSS = 0.95
"""A task whose loss ends above this share of the constant answer's loss counts as not learned."""
SHORT_TRAINING_SHARE = 0.1
"""A training with less than this share of its planned steps is called short."""
FINAL_EPOCHS_SHARE = 1 / 3
"""The loss at the end is the mean over this last share of the epochs, so that no single epoch decides."""
# Risks that differ by less than this over all cases are one risk.
CONSTANT_RISK_RANGE = 1e-6
CONSTANT_NUMBER_SHARE = 1e-3
"""Answers whose standard deviation is below this share of the truth's count as one number."""


@dataclass(frozen=True)
class LearningCheck:
    """Which tasks of a run learned nothing, and how far it was trained.

    Args:
        unlearned: task → why it counts as not learned.
        one_class: task → the only class it ever answers, although its probabilities rank the cases.
        steps, planned: optimizer steps that were taken, and those of the plan.
    """

    unlearned: Mapping[str, str]
    one_class: Mapping[str, str]
    steps: int
    planned: int

    def list_verdicts(self) -> tuple[str, ...]:
        """List the sentences that a reader must see before any number; none when all is well."""
        verdicts = []
        taken = f"{self.steps:,} of {self.planned:,} planned steps"
        if self.unlearned:
            reasons = "; ".join(f"{task}: {why}" for task, why in self.unlearned.items())
            verdicts.append(
                f"Nothing learned yet on {', '.join(self.unlearned)} (trained {taken}). {reasons}. "
                "Train longer, or look at `polytask doctor`."
            )
        elif 0 < self.steps < SHORT_TRAINING_SHARE * self.planned:
            verdicts.append(f"Short training: {taken}.")
        for task, name in self.one_class.items():
            verdicts.append(
                f"{task} answers {name} for every case: its probabilities rank the cases, but its class carries no "
                "information."
            )
        return tuple(verdicts)


def check_learning(
    run: Run,
    tasks: Mapping[str, Task],
    answers: PartAnswers | None = None,
    skills: Mapping[str, Estimate] | None = None,
) -> LearningCheck:
    """Check a run by its log and, where they are given, by its answers.

    A visit or subject task counts as learned in spite of its loss when its skill is clearly above chance (the lower end
    of its interval is above 0). A Dice is never below 0, so for masks and doses the skill cannot tell.
    """
    log = read_network_logs(run.folder)
    constant = find_constant_answers(tasks, answers) if answers is not None else {}
    unlearned: dict[str, str] = {}
    one_class: dict[str, str] = {}
    for task, loss in read_final_losses(log, run.networks).items():
        skill = (skills or {}).get(task)
        ranks = skill is not None and skill.low > 0 and tasks[task].level != "voxel"
        if task in constant and not ranks:
            unlearned[task] = constant[task]
        # A loss of NaN (never logged) is not above the limit: such a task is not judged by its loss.
        elif loss >= UNLEARNED_LOSS and not ranks:
            unlearned[task] = f"its loss is still {loss:.2f} times that of a constant answer"
        elif (
            task in constant
            and answers is not None
            and find_answer_form(tasks[task].kind) in ("class", "grade")
        ):
            one_class[task] = _find_single_class(tasks[task], answers.pooled[task])
    settings = Plan.read(run.folder).shared.training
    steps = max((int(e[-1]["step"]) for e in log.values() if e), default=0)
    return LearningCheck(unlearned, one_class, steps, settings.epochs * settings.steps_per_epoch)


def read_final_losses(
    log: Mapping[str, list[RunLogEntry]], networks: Mapping[str, list[str]]
) -> dict[str, float]:
    """Read each task's mean training loss over the last epochs, as a share of a constant answer's; NaN when never
    logged."""
    final_losses = {}
    for network, names in networks.items():
        closed = list_epoch_entries(log.get(network, []))
        recent = closed[-max(1, round(len(closed) * FINAL_EPOCHS_SHARE)) :]
        for task in names:
            losses = [float(v) for e in recent if (v := e["loss"].get(task)) is not None]
            final_losses[task] = float(np.mean(losses)) if losses else float("nan")
    return final_losses


def find_constant_answers(tasks: Mapping[str, Task], answers: PartAnswers) -> dict[str, str]:
    """Explain for each task with constant answers how they are the same; only where the known truth differs by case."""
    reasons = {}
    for name, task in tasks.items():
        if name in answers.voxel:
            why = _explain_missing_masks(task, answers)
        elif name in answers.pooled and answers.pooled[name].ids:
            why = _explain_constant_answer(task, answers.pooled[name])
        else:
            why = ""
        if why:
            reasons[name] = why
    return reasons


def _explain_missing_masks(task: Task, answers: PartAnswers) -> str:
    """Explain that a segmentation is empty in every case though some case has a mask to find; "" otherwise."""
    cases = answers.voxel[task.name]
    columns = [
        (cases.column(f"empty_truth.{n}"), cases.column(f"empty_answer.{n}")) for n in list_class_names(task)
    ]
    if find_answer_form(task.kind) != "masks" or not any((truth == 0).any() for truth, _ in columns):
        return ""
    drawn = any((answer == 0).any() for _, answer in columns)
    return "" if drawn else f"no mask predicted in any of {len(cases.ids)} cases"


def _explain_constant_answer(task: Task, items: PooledAnswers) -> str:
    known = items.known.reshape(len(items.ids), -1)
    if find_answer_form(task.kind) in ("class", "grade"):
        name = _find_single_class(task, items)
        varies = len(np.unique(items.value[items.known])) > 1
        return f"always answers {name}" if name and varies else ""
    if find_answer_form(task.kind) == "labels":
        answered = items.prediction["p"] > 0.5
        varies = any(len(np.unique(v[k])) > 1 for v, k in zip(items.value.T > 0.5, known.T, strict=True))
        return "the same labels for every case" if varies and (answered == answered[:1]).all() else ""
    truth = items.value.reshape(len(items.ids), -1)[known.any(1), 0].astype(np.float64)
    spread = float(np.std(truth)) if truth.size else 0.0
    if find_answer_form(task.kind) == "time":
        # A risk has no unit, so its spread cannot be compared with that of the times.
        alike = spread > 0 and np.ptp(items.prediction["risk"]) < CONSTANT_RISK_RANGE
        return "the same risk for everybody" if alike else ""
    same = spread > 0 and float(np.std(items.prediction["value"])) < CONSTANT_NUMBER_SHARE * spread
    return "the same number for every case" if same else ""


def _find_single_class(task: Task, items: PooledAnswers) -> str:
    """Find the class that is answered for every case; "" when there are several."""
    named = {str(expect_pooled_task(task).columns(items.prediction, k)[""]) for k in range(len(items.ids))}
    return named.pop() if len(named) == 1 else ""
