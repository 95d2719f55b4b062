"""Loads runs of a work folder as one model or an ensemble."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from polytask.cohort.header import Header
from polytask.cohort.header_file import parse_header
from polytask.errors import PolytaskError
from polytask.plan.plan_file import ensure_fold
from polytask.plan.plan_schema import Plan
from polytask.predict.baseline_file import read_baselines
from polytask.predict.consistency import find_disagreements
from polytask.predict.held_out import read_held_out_metrics
from polytask.predict.loaded_model import LoadedModel
from polytask.predict.member import Member
from polytask.predict.promises import find_promises
from polytask.training.assemble import make_network, make_network_spec, make_tasks
from polytask.training.decisions import read_decisions
from polytask.training.folder import RUN_FILE_NAME, Run
from polytask.training.run_plan import plan_hash
from polytask.training.state import load_weights, put_weights
from polytask.training.survival_learning import read_learned_fields


def load_runs(folders: Sequence[Path]) -> LoadedModel:
    """Load one member per run; all runs must have the same tasks, the same network and the same prepared data."""
    runs = [Run.read(f) for f in folders]
    plans = [Plan.read(r.folder) for r in runs]
    first = runs[0]
    for run, plan in zip(runs, plans, strict=True):
        if run.record["store"] != first.record["store"] or plan.shared.images != plans[0].shared.images:
            raise PolytaskError(
                f"{run.folder}: prepared differently from {first.folder}; an ensemble shares one plan"
            )
        if _get_model_settings(plan) != _get_model_settings(plans[0]):
            raise PolytaskError(
                f"{run.folder}: other network settings than {first.folder} (`model` in plan.yaml); an ensemble has "
                "folds and seeds of one"
            )
        ensure_fold(plan, int(run.record["fold"]), run.folder)
        if run.record["plan"] != plan_hash(plan, int(run.record["fold"])):
            raise PolytaskError(
                f"{run.folder}: its plan.yaml has changed since the run began, so its checkpoint belongs to "
                "another plan; "
                "restore plan.yaml"
            )
        if run.record["header"] != first.record["header"]:
            raise PolytaskError(
                f"{run.folder}: trained with another cohort.yaml than {first.folder}; an ensemble shares one"
            )
        if sorted(_list_run_tasks(run)) != sorted(_list_run_tasks(first)):
            raise PolytaskError(
                f"{run.folder}: has other tasks than {first.folder}; an ensemble shares its tasks"
            )
    # As it was learned: the cohort may have changed or gone.
    restore = "restore the file, or train the run again"
    header = parse_header(first.record["header"], f"{first.folder / RUN_FILE_NAME}, header", restore)
    for run, plan in zip(runs, plans, strict=True):
        for problem in (*find_disagreements(header, plan), *find_network_problems(run, plan)):
            raise PolytaskError(
                f"{run.folder / RUN_FILE_NAME}: does not fit its plan.yaml: {problem}; {restore}"
            )
    members = [load_member(r, p, header) for r, p in zip(runs, plans, strict=True)]
    promises, place, notices = find_promises(runs)
    return LoadedModel(header, plans[0], members, notices, promises=promises, promise_folder=place)


def _get_model_settings(plan: Plan) -> dict[str, Any]:
    """Return the settings of the network; the name of the preset they came from does not matter."""
    return plan.shared.model.model_dump(exclude={"preset"})


def load_member(run: Run, plan: Plan, header: Header) -> Member:
    """Load the best networks of a run, with its tasks, decisions and simple models."""
    fold = plan.folds[int(run.record["fold"])]
    learned = read_learned_fields(run.folder, fold)
    networks = []
    for name, names in run.networks.items():
        network = make_network(make_network_spec(plan, fold, header), make_tasks(fold, names, learned), 0)
        put_weights(network, load_weights(run.find_best_checkpoint(name)), run.find_best_checkpoint(name))
        networks.append(network)
    tasks = make_tasks(fold, _list_run_tasks(run), learned)
    return Member(
        int(run.record["fold"]),
        int(run.record["seed"]),
        fold,
        tasks,
        tuple(networks),
        held_out=read_held_out_metrics(run.folder, run.weights, {n: t.primary for n, t in tasks.items()}),
        decisions=read_decisions(run.folder),
        baselines=read_baselines(run.folder),
    )


def find_network_problems(run: Run, plan: Plan) -> Iterator[str]:
    """Yield where the networks in a run's record differ from its plan."""
    names, known = _list_run_tasks(run), plan.folds[int(run.record["fold"])].tasks
    if len(set(names)) < len(names) or not all(run.networks.values()):
        yield "networks: expected one or more tasks in each, and each task in one"
    for name in names:
        if name not in known:
            yield f"networks: {name} is no task of the plan"


def _list_run_tasks(run: Run) -> list[str]:
    return [task for names in run.networks.values() for task in names]
