"""Makes the record of a new run from what was requested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polytask.cohort.header_file import HEADER_FILE, read_header
from polytask.errors import PolytaskError
from polytask.plan.plan_schema import Plan
from polytask.prepare.store import Store
from polytask.task_chains import join_chains
from polytask.training.cohort_folder import find_cohort_folder
from polytask.training.folder import Run, describe_environment
from polytask.training.run_plan import choose_fold_tasks, plan_hash
from polytask.training.run_request import RunRequest
from polytask.training.state import read_state


def assign_networks(
    tasks: Sequence[str],
    sharing: str,
    after: Mapping[str, Sequence[str]],
    groups: Sequence[Sequence[str]] | None = None,
) -> dict[str, list[str]]:
    """Assign the tasks to networks: one network for all tasks, or one for each group.

    Under `single` each task has a network of its own, or each group of tasks that a chain links. Returns network → its
    tasks.

    Raises:
        PolytaskError: there are groups, and a task is in none of them.
    """
    if groups:
        grouped = [name for group in groups for name in group]
        if left_out := [task for task in tasks if task not in grouped]:
            raise PolytaskError(
                f"model.groups: {left_out[0]!r} is in no group; add it, or leave it out with --tasks"
            )
        return name_networks([group for group in groups if set(group) & set(tasks)], tasks)
    if sharing != "single":
        return {"": list(tasks)}
    return name_networks(join_chains(tasks, after), tasks)


def name_networks(groups: Sequence[Sequence[str]], tasks: Sequence[str]) -> dict[str, list[str]]:
    """Name the network of each group after its tasks; both are in the order of `tasks`."""
    ordered = [[t for t in tasks if t in group] for group in groups]
    return {"+".join(group): group for group in sorted(ordered, key=lambda group: tasks.index(group[0]))}


def make_run_record(work: Path, name: str, plan: Plan, request: RunRequest, processes: int) -> dict[str, Any]:
    """Make the record of a new run. Everything that can be refused is refused here, before anything is written.

    Args:
        name: of the run, also where the request leaves it to be chosen.
        plan: that of this run, with the changes of the request.
        processes: how many train it together.
    """
    if name in (".", "..") or Path(name).name != name:
        raise PolytaskError(f"--name {name}: a run is one folder in {work / 'runs'}; expected a plain name")
    model = plan.shared.model
    fold, tasks, init = request.fold, request.tasks, request.init
    if sum(option is not None for option in (request.minutes, request.steps, request.match)) > 1:
        raise PolytaskError("--minutes, --steps and --match each say how long to train: give one of them")
    if fold not in plan.folds:
        raise PolytaskError(
            f"fold {fold} is not in {work / 'plan.yaml'}; it has {', '.join(map(str, plan.folds))}"
        )
    chosen = choose_fold_tasks(plan, fold, tasks)
    for task in chosen:
        # A link to a task that this fold cannot train is dropped with that task.
        lost = [up for up in model.after.get(task, ()) if up not in chosen and up in plan.folds[fold].tasks]
        if lost:
            raise PolytaskError(
                f"--tasks {','.join(chosen)}: {task!r} reads the answer of {lost[0]!r} (model.after); train both, or "
                "take the link away"
            )
    store, cohort = Store(work / "store"), find_cohort_folder(work, plan)
    return {
        "name": name,
        "fold": fold,
        "seed": request.seed,
        "preset": model.preset or None,
        "sharing": model.sharing,
        "networks": assign_networks(chosen, model.sharing, model.after, model.groups),
        "minutes": request.minutes,
        "balance": plan.shared.training.balance.rule,
        "steps": find_matched_steps(work / "runs" / request.match) if request.match else request.steps,
        "init": None if init is None else str(Path(init).resolve()),
        "plan": plan_hash(plan, fold),
        "cohort": plan.digest,
        "header": read_header(cohort / HEADER_FILE).model_dump(mode="json", exclude_defaults=True),
        "store": store.content,
        "processes": processes,
        **describe_environment(),
    }


def find_matched_steps(folder: Path) -> int:
    """Find the number of steps of another run's first network."""
    run = Run.read(folder)
    last = run.find_last_checkpoint(next(iter(run.networks)))
    if last is None:
        raise PolytaskError(f"{folder}: the run to match has no checkpoint; train it first")
    counters = read_state(last)
    if counters.get("pace") and not counters["finished"]:
        raise PolytaskError(
            f"{folder}: the run to match has a time budget and is not finished, so its number of steps may change; "
            f"finish it first: polytask train {run.work} --resume {folder.name}"
        )
    return int(counters["schedule"]["end"])
