"""`train`: from a planned and prepared work folder to a run, new or resumed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from polytask.cohort.cohort import Cohort
from polytask.cohort.header_file import HEADER, read_header
from polytask.cohort.splits import Splits
from polytask.errors import PolytaskError, nearest
from polytask.plan.files import ensure_cohort, read_plan, write_plan
from polytask.plan.plan import Plan
from polytask.plan.presets import apply_preset
from polytask.plan.settings import set_values
from polytask.prepare.store import Store
from polytask.registries import registry
from polytask.training.distributed import World, join_world
from polytask.training.fitting import Context, fit_network, luck_of
from polytask.training.folder import Run, environment
from polytask.training.freed_memory import give_freed_memory_back, keep_freed_memory
from polytask.training.interrupt import Interrupted, listen
from polytask.training.loop import Reporter
from polytask.training.state import read_state

PLACES = {
    **{key: f"model.{key}" for key in ("sharing", "time", "sources")},
    "balance": "training.balance.rule",
    "cut": "training.balance.cut",
}
"""Option of `train` → the value of a plan it sets."""
Budget = tuple[float | None, int | None, str | None]
"""Minutes, steps, or a run whose steps are taken over: at most one of them."""


class Quiet:
    """A reporter that says nothing."""

    def begin(self, title: str, done: int, total: int) -> None:
        """Nothing."""

    def step(self, step: int, losses: Any) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


def train(
    work: Path | str,
    *,
    fold: int = 0,
    seed: int = 0,
    preset: str | None = None,
    sharing: str | None = None,
    time: str | None = None,
    sources: str | None = None,
    balance: str | None = None,
    cut: str | None = None,
    after: Mapping[str, Sequence[str]] | None = None,
    name: str | None = None,
    tasks: Sequence[str] | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    match: str | None = None,
    init: Path | str | None = None,
    overrides: Sequence[str] = (),
    resume: str | None = None,
    extend: int = 0,
    workers: int | None = None,
    device: str | None = None,
    reporter: Reporter | None = None,
) -> Run:
    """Fit one model for all tasks (or with `sharing="single"` one after another for each) and return its run.

    Args:
        work: folder with `plan.yaml`, `splits.json` and `store/`.
        fold: which fold of the plan. seed: of weights, order, augmentation and dropout.
        preset: a published system, see `plan.presets`; what follows overrides parts of it.
        sharing, time, sources, balance: members of these registries; the plan's by default.
        cut: where a balancing rule takes gradients, `features` or `parameters`.
        after: task → tasks whose answers it reads.
        name: of the run; `PRESET-foldF-seedS` by default, or `SHARING-foldF-seedS` without a preset.
        tasks: only these.
        minutes: a time budget, turned into steps before the first step.
        steps: of every network, instead of the plan's epochs.
        match: name of a run whose number of steps is taken over (a fair baseline).
        init: a run or model folder whose weights, where names and shapes agree, are the start.
        overrides: `training.epochs=4` and the like.
        resume: name of a run to go on with; of the rest only `extend`, `workers` and `device` count then.
        extend: epochs to add behind the planned end (with `resume`).
        workers: data processes; the plan's by default. Does not change the result.
    """
    work = Path(work)
    with join_world(device) as world, listen() as asked:
        if resume:
            run = Run.read(work / "runs" / resume)
        else:
            named = {"sharing": sharing, "time": time, "sources": sources, "balance": balance, "cut": cut}
            plan = _new_plan(work, preset, tasks, named, after or {}, overrides)
            label = name or f"{preset or plan.shared.model.sharing}-fold{fold}-seed{seed}"
            run = _new_run(work, label, plan, fold, seed, tasks, (minutes, steps, match), init, world)
        world.wait()
        try:
            plan = read_plan(run.folder)
            if workers is not None:
                plan.shared.training.workers = workers
            context = _context(run, plan, world)
            for network in run.networks:
                fit_network(context, network, extend if resume else 0, asked, reporter or Quiet())
        except Interrupted as stop:
            stop.run = run.folder.name
            raise
        except Exception:
            if world.chief and not resume:
                run.forget_unbegun()
            raise
        finally:
            give_freed_memory_back()
        return run


def plan_hash(plan: Plan, fold: int) -> str:
    """Of all that decides the weights: not the reasons, the number of data workers, or the unit that lengths have."""
    left_out: Any = {"why": True, "training": {"workers"}, "images": {"__all__": {"unit"}}}
    shared = plan.shared.model_dump(mode="json", exclude=left_out)
    mine = plan.folds[fold].model_dump(mode="json", exclude={"why"})
    for fields in mine["tasks"].values():
        if fields["kind"] == "segmentation":
            fields.pop("unit", None)
    return hashlib.sha256(json.dumps([shared, mine], sort_keys=True).encode()).hexdigest()


def _new_plan(
    work: Path,
    preset: str | None,
    tasks: Sequence[str] | None,
    named: Mapping[str, str | None],
    after: Mapping[str, Sequence[str]],
    overrides: Sequence[str],
) -> Plan:
    """The work folder's plan with this run's changes: the preset, then its parts, then single values."""
    plan = read_plan(work)
    if preset:
        header = read_header(_cohort_folder(work, plan) / HEADER)
        asked = {n: t for n, t in header.tasks.items() if tasks is None or n in tasks}
        plan = apply_preset(plan, preset, header.model_copy(update={"tasks": asked}))
    changes = [f"{PLACES[key]}={value}" for key, value in named.items() if value]
    changes += [f"model.after.{task}=[{', '.join(others)}]" for task, others in after.items()]
    plan = set_values(plan, [*changes, *overrides])
    model, rule = plan.shared.model, plan.shared.training.balance.rule
    for key, member in (
        ("sharing", model.sharing),
        ("time", model.time),
        ("sources", model.sources),
        ("balance", rule),
    ):
        choose(key, member)
    if model.sharing == "single" and rule not in ("equal", "fixed"):
        raise PolytaskError(
            f"--balance {rule} does not apply to single: each of its networks has one task's loss"
        )
    return plan


def choose(registry_name: str, member: str) -> None:
    """Refuse a name that a registry does not have.

    Raises:
        PolytaskError: with the nearest right name.
    """
    if member not in registry(registry_name):
        raise PolytaskError(f"--{registry_name} {member}: {nearest(member, list(registry(registry_name)))}")


def networks_of(
    tasks: Sequence[str], sharing: str, after: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """Network → its tasks: one for all; under `single` one for each task, or for each chain of tasks."""
    if sharing != "single":
        return {"": list(tasks)}
    groups: list[list[str]] = []
    for task in tasks:
        tied = [g for g in groups if any(o in after.get(task, ()) or task in after.get(o, ()) for o in g)]
        groups = [g for g in groups if g not in tied] + [[t for g in tied for t in g] + [task]]
    found = [[t for t in tasks if t in group] for group in groups]
    return {"+".join(group): group for group in sorted(found, key=lambda group: tasks.index(group[0]))}


def _new_run(
    work: Path,
    name: str,
    plan: Plan,
    fold: int,
    seed: int,
    tasks: Sequence[str] | None,
    budget: Budget,
    init: Path | str | None,
    world: World,
) -> Run:
    """The run's folder with its record and its own copy of the plan (written by one process)."""
    if name in (".", "..") or Path(name).name != name:
        raise PolytaskError(f"--name {name}: a run is one folder in {work / 'runs'}; expected a plain name")
    model = plan.shared.model
    minutes, steps, match = budget
    if sum(given is not None for given in budget) > 1:
        raise PolytaskError("--minutes, --steps and --match each say how long to train: give one of them")
    if fold not in plan.folds:
        raise PolytaskError(
            f"fold {fold} is not in {work / 'plan.yaml'}; it has {', '.join(map(str, plan.folds))}"
        )
    known = list(plan.folds[fold].tasks)
    if unknown := [t for t in tasks or () if t not in known]:
        raise PolytaskError(f"task {unknown[0]!r} is not in the plan; it has {', '.join(known)}")
    chosen = [t for t in known if tasks is None or t in tasks]
    for task in chosen:
        if lost := [up for up in model.after.get(task, ()) if up not in chosen]:
            raise PolytaskError(
                f"--tasks {','.join(chosen)}: {task!r} reads the answer of {lost[0]!r} (model.after); train both, or "
                "take the link away"
            )
    store, cohort = Store(work / "store"), _cohort_folder(work, plan)
    record = {
        "polytask": 1,
        "name": name,
        "fold": fold,
        "seed": seed,
        "preset": model.preset or None,
        "sharing": model.sharing,
        "networks": networks_of(chosen, model.sharing, model.after),
        "minutes": minutes,
        "balance": plan.shared.training.balance.rule,
        "steps": _steps_of(work / "runs" / match) if match else steps,
        "init": None if init is None else str(Path(init).resolve()),
        "plan": plan_hash(plan, fold),
        "cohort": plan.digest,
        "header": read_header(cohort / HEADER).model_dump(mode="json", exclude_defaults=True),
        "store": store.content,
        "processes": world.size,
        **environment(),
    }
    if not world.chief:
        world.wait()
        return Run.read(work / "runs" / name)
    run = Run.create(work / "runs" / name, record)
    with suppress(ValueError):  # another drive
        plan = plan.model_copy(update={"cohort": Path(os.path.relpath(cohort, work.resolve())).as_posix()})
    write_plan(plan, run.folder)
    world.wait()
    return run


def _steps_of(folder: Path) -> int:
    """Steps of another run's first network."""
    run = Run.read(folder)
    last = run.last_saved(next(iter(run.networks)))
    if last is None:
        raise PolytaskError(f"{folder}: the run to match has no checkpoint; train it first")
    return int(read_state(last)["schedule"]["end"])


def _context(run: Run, plan: Plan, world: World) -> Context:
    """What all networks of the run share."""
    fold = int(run.record["fold"])
    if run.record["plan"] != plan_hash(plan, fold):
        raise PolytaskError(
            f"{run.folder}: its plan.yaml has changed since the run began, so its checkpoint is of another plan; "
            "restore plan.yaml, or start a new run from these weights with --init"
        )
    store = Store(run.work / "store")
    if store.content != run.record["store"]:
        raise PolytaskError(f"{store.folder}: the store has changed since the run began; start a new run")
    cohort = Cohort.read(cohort_folder_of(run, plan))
    ensure_cohort(plan, cohort)
    splits = Splits.read(run.work / "splits.json")
    settings = plan.shared.training
    torch.set_num_threads(max(1, settings.threads // world.size))
    keep_freed_memory()
    if world.device.type == "cuda":
        torch.backends.cudnn.deterministic = True
    return Context(
        run, plan, fold, luck_of(int(run.record["seed"]), fold), cohort, splits.folds[fold], store, world
    )


def cohort_folder_of(run: Run, plan: Plan) -> Path:
    """Of the cohort a run learns from."""
    return _cohort_folder(run.work, plan, run.folder)


def _cohort_folder(work: Path, plan: Plan, planned: Path | None = None) -> Path:
    """The plan's `cohort` is relative to the work folder, wherever the plan lies."""
    folder = (work / plan.cohort).resolve()
    if not folder.is_dir():
        raise PolytaskError(
            f"{folder}: the cohort of the plan is not there; bring it back, or write where it is under `cohort` in "
            f"{(planned or work) / 'plan.yaml'}"
        )
    return folder
