"""What survival tasks learn after training from the scores of the training subjects.

These are the baseline hazard of Cox tasks, and the risks at which subjects are divided into groups.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polytask.documents.json_reader import read_json_object
from polytask.errors import PolytaskError
from polytask.plain import write_json
from polytask.plan.plan import FoldPlan
from polytask.plan.validate import to_task_fields
from polytask.prepare.full import full_sample
from polytask.tasks.risk_groups import cut_risks
from polytask.tasks.survival import Survival
from polytask.training.answers import Answers
from polytask.training.assemble import make_network, make_tasks, network_spec
from polytask.training.decisions import read_decisions, write_decisions
from polytask.training.infer import infer
from polytask.training.state import load_weights, put_weights

if TYPE_CHECKING:
    from polytask.training.fitting import Context

LEARNT = "learnt.json"


def read_learnt(folder: Path, fold: FoldPlan) -> dict[str, dict[str, Any]]:
    """Read the fields that are known only after training, by task; empty when the run has none.

    Args:
        folder: of the run. fold: its fold of the plan, which has the survival tasks they belong to.
    """
    path = folder / LEARNT
    if not path.exists():
        return {}
    remedy = "restore the file, or train the run again"
    learnt = read_json_object(path, "what survival tasks learned", remedy)
    for task, fields in learnt.items():
        told = fold.tasks.get(task)
        if (
            not isinstance(fields, dict)
            or set(fields) != {"baseline"}
            or not told
            or told["kind"] != "survival"
        ):
            raise PolytaskError(f"{path}: {task}: expected the baseline of a survival task; {remedy}")
        try:
            to_task_fields({**told, **fields}, task)
        except PolytaskError as error:
            raise PolytaskError(f"{path}: {error}; {remedy}") from None
    return learnt


def learn_survival(context: Context, name: str) -> None:
    """Score the training subjects with the best weights, and save what follows from the scores.

    Breslow's baseline of Cox tasks goes to `learnt.json`, the cut-offs of the risk groups to `decisions.json`.
    """
    folder = context.run.folder
    names, fold = context.run.networks[name], context.plan.folds[context.fold]
    tasks = make_tasks(fold, names)
    survival = {n: t for n, t in tasks.items() if isinstance(t, Survival)}
    answers = _score_training_subjects(context, name, survival) if survival else None
    # Under `single` each network adds its own tasks to what earlier ones have written.
    learnt, cutoffs = read_learnt(folder, fold), {}
    for task_name, task in survival.items():
        assert answers is not None
        if not answers.pooled[task_name].ids:
            continue
        prediction, value, known = answers.pooled[task_name].arrays()
        # Only subjects with a known outcome: the value of an unknown one is a placeholder.
        risk, (times, events) = prediction["risk"][known], value[known].T
        cutoffs[task_name] = cut_risks(risk)
        if task.loss == "cox":
            trained = task.with_baseline(risk.tolist(), times.tolist(), events.tolist())
            learnt[task_name] = {"baseline": asdict(trained)["baseline"]}
    if learnt:
        write_json(folder / LEARNT, learnt)
    write_decisions(folder, read_decisions(folder).with_cutoffs(cutoffs, names))


def lacks_survival(context: Context, name: str) -> bool:
    """Whether something is missing that `learn_survival` writes for tasks whose outcome is known in training."""
    fold = context.plan.folds[context.fold]
    tasks = make_tasks(fold, context.run.networks[name])
    learnt, cutoffs = read_learnt(context.run.folder, fold), read_decisions(context.run.folder).cutoffs
    return any(
        task_name not in cutoffs or (task.loss == "cox" and task_name not in learnt)
        for task_name, task in tasks.items()
        if isinstance(task, Survival)
    )


def _score_training_subjects(context: Context, name: str, survival: dict[str, Survival]) -> Answers:
    plan, fold = context.plan, context.plan.folds[context.fold]
    tasks = make_tasks(fold, context.run.networks[name])
    network = make_network(network_spec(plan, fold, context.cohort.header), tasks, 0)
    best = context.run.best_saved(name)
    put_weights(network, load_weights(best), best)
    network.to(context.world.device)
    answers = Answers(context.cohort, context.store, {**survival}, plan.shared.max_visits, {})
    for sample in context.cohort.samples(context.parts.train):
        full = full_sample(context.store, context.cohort, sample, plan, fold)
        found = infer(network, full, plan, context.world.device, pooled_only=True)
        answers.add(sample, full, {n: found[n] for n in survival if n in found})
    return answers
