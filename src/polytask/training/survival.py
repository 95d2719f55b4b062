"""After training: the baseline hazard of the Cox tasks, from the scores of the training subjects."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polytask.plain import write_json
from polytask.prepare.full import full_sample
from polytask.tasks.survival import Survival
from polytask.training.answers import Answers
from polytask.training.assemble import make_network, make_tasks, network_spec
from polytask.training.infer import infer
from polytask.training.state import load_weights, put_weights

if TYPE_CHECKING:
    from polytask.training.fitting import Context

LEARNT = "learnt.json"


def read_learnt(folder: Path) -> dict[str, dict[str, Any]]:
    """Task → fields known only after training; nothing when the run has none."""
    path = folder / LEARNT
    learnt: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return learnt


def learn_survival(context: Context, name: str) -> None:
    """Score the training subjects with the best weights and keep Breslow's baseline in `learnt.json`."""
    plan, fold = context.plan, context.plan.folds[context.fold]
    tasks = make_tasks(fold, context.run.networks[name])
    cox = {n: t for n, t in tasks.items() if isinstance(t, Survival) and t.loss == "cox"}
    if not cox:
        return
    network = make_network(network_spec(plan, fold, context.cohort.header), tasks, 0)
    put_weights(network, load_weights(context.run.best(name)), context.run.best(name))
    network.to(context.world.device)
    answers = Answers(context.cohort, context.store, {n: tasks[n] for n in cox}, plan.shared.max_visits, {})
    for sample in context.cohort.samples(context.parts.train):
        full = full_sample(context.store, context.cohort, sample, plan, fold)
        found = infer(network, full, plan, context.world.device, pooled_only=True)
        answers.add(sample, full, {n: found[n] for n in cox if n in found})
    learnt = read_learnt(context.run.folder)
    for task_name, task in cox.items():
        prediction, value, known = answers.pooled[task_name].arrays()
        risk, (times, events) = prediction["risk"][known], value[known].T
        trained = task.with_baseline(risk.tolist(), times.tolist(), events.tolist())
        learnt[task_name] = {"baseline": asdict(trained)["baseline"]}
    write_json(context.run.folder / LEARNT, learnt)
