"""What survival tasks learn after training from the scores of the training subjects.

These are the baseline hazard of Cox tasks, and the risks at which subjects are divided into groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polytask.documents.json_reader import read_json_object
from polytask.errors import PolytaskError
from polytask.inference.pooled_answers import PooledAnswers, PooledCollector
from polytask.inference.sample_prediction import predict_sample
from polytask.kinds import find_answer_form
from polytask.plain import write_plain_json
from polytask.plan.plan_schema import FoldPlan
from polytask.plan.validate import parse_task_fields
from polytask.prepare.evaluation_sample import full_sample
from polytask.tasks.risk_groups import find_risk_cutoffs
from polytask.tasks.survival import Survival
from polytask.tasks.task import Task
from polytask.training.assemble import make_network, make_network_spec, make_tasks
from polytask.training.decisions import read_decisions, write_decisions
from polytask.training.state import load_weights, put_weights

if TYPE_CHECKING:
    from polytask.training.fitting import RunContext

LEARNED_FILE = "learnt.json"


def read_learned_fields(folder: Path, fold: FoldPlan) -> dict[str, dict[str, Any]]:
    """Read the fields that are known only after training, by task; empty when the run has none.

    Args:
        folder: of the run. fold: its fold of the plan, which has the survival tasks they belong to.
    """
    path = folder / LEARNED_FILE
    if not path.exists():
        return {}
    remedy = "restore the file, or train the run again"
    learned: dict[str, dict[str, Any]] = {}
    for task, fields in read_json_object(path, "what survival tasks learned", remedy).items():
        planned = fold.tasks.get(task)
        if (
            not isinstance(fields, dict)
            or set(fields) != {"baseline"}
            or not planned
            or find_answer_form(planned["kind"]) != "time"
        ):
            raise PolytaskError(f"{path}: {task}: expected the baseline of a survival task; {remedy}")
        try:
            # What was parsed and not what was read: a number in quotation marks is none yet.
            parsed = parse_task_fields({**planned, **fields}, task)
        except PolytaskError as error:
            raise PolytaskError(f"{path}: {error}; {remedy}") from None
        learned[task] = {"baseline": parsed["baseline"]}
    return learned


def learn_survival(context: RunContext, name: str) -> None:
    """Score the training subjects with the best weights, and save what follows from the scores.

    Breslow's baseline of Cox tasks goes to `learnt.json`, the cut-offs of the risk groups to `decisions.json`.
    """
    folder = context.run.folder
    names, fold = context.run.networks[name], context.plan.folds[context.fold]
    tasks = make_tasks(fold, names)
    survival = _select_survival_tasks(tasks)
    answers = _score_training_subjects(context, name, survival) if survival else {}
    # Under `single` each network adds its own tasks to what earlier ones have written.
    learned, cutoffs = read_learned_fields(folder, fold), {}
    for task_name, task in survival.items():
        scored = answers[task_name]
        if not scored.ids:
            continue
        # Only subjects with a known outcome: the value of an unknown one is a placeholder.
        risk, (times, events) = scored.prediction["risk"][scored.known], scored.value[scored.known].T
        cutoffs[task_name] = find_risk_cutoffs(risk)
        if task.loss == "cox":
            trained = task.with_baseline(risk.tolist(), times.tolist(), events.tolist())
            learned[task_name] = {"baseline": asdict(trained)["baseline"]}
    if learned:
        write_plain_json(folder / LEARNED_FILE, learned)
    write_decisions(folder, read_decisions(folder).with_cutoffs(cutoffs, names))


def lacks_learned_survival(context: RunContext, name: str) -> bool:
    """Whether something is missing that `learn_survival` writes for tasks whose outcome is known in training."""
    fold = context.plan.folds[context.fold]
    tasks = make_tasks(fold, context.run.networks[name])
    learned, cutoffs = (
        read_learned_fields(context.run.folder, fold),
        read_decisions(context.run.folder).cutoffs,
    )
    return any(
        task_name not in cutoffs or (task.loss == "cox" and task_name not in learned)
        for task_name, task in _select_survival_tasks(tasks).items()
    )


def _select_survival_tasks(tasks: Mapping[str, Task]) -> dict[str, Survival]:
    return {name: task for name, task in tasks.items() if isinstance(task, Survival)}


def _score_training_subjects(
    context: RunContext, name: str, survival: dict[str, Survival]
) -> dict[str, PooledAnswers]:
    plan, fold = context.plan, context.plan.folds[context.fold]
    tasks = make_tasks(fold, context.run.networks[name])
    network = make_network(make_network_spec(plan, fold, context.cohort.header), tasks, 0)
    best = context.run.find_best_checkpoint(name)
    put_weights(network, load_weights(best), best)
    network.to(context.world.device)
    collector = PooledCollector(context.cohort, survival)
    for sample in context.cohort.samples(context.parts.train):
        full = full_sample(context.store, context.cohort, sample, plan, fold, tasks)
        collector.add_sample(
            full, predict_sample(network, full, plan, context.world.device, pooled_only=True)
        )
    return collector.stack()
