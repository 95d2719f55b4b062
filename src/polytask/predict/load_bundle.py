"""Loads an exported model from its folder; every part is checked before it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from polytask.cohort.header import Header
from polytask.errors import PolytaskError
from polytask.plan.plan_schema import Plan
from polytask.plan.validate import parse_task_fields
from polytask.predict.baseline_file import check_baselines
from polytask.predict.bundle import DESCRIPTION_FILE, WEIGHTS_FILE
from polytask.predict.consistency import find_disagreements, find_member_problem
from polytask.predict.held_out import HeldOutMetrics
from polytask.predict.loaded_model import LoadedModel
from polytask.predict.member import Member
from polytask.predict.promises import PROMISES_KEY
from polytask.predict.seal import read_description
from polytask.tasks.task import Task, expect_pooled_task, expect_voxel_task
from polytask.training.assemble import make_network, make_network_spec, make_tasks
from polytask.training.decisions import Decisions
from polytask.training.tensor_files import load_tensors, sha256

MAX_MEMBERS = 100
"""Largest number of members: each costs memory for its networks."""


def load_bundle(folder: Path) -> LoadedModel:
    """Load an exported model; description and weights must be those it was exported with, and fit each other.

    The seal shows accidents, not intent: a person who changes a model can seal it again. So everything that sets a
    size, gives a name or is an index is checked before memory is taken.
    """
    place = folder / DESCRIPTION_FILE
    described, notices = read_description(place)
    try:
        header = Header.model_validate(described["header"])
        plan_content, entries, seal = described["plan"], described["members"], described["sha256"]
    except (KeyError, ValidationError) as error:
        line = " ".join(str(error).split())[:200]
        raise PolytaskError(f"{place}: not a model description ({line}); export it again") from None
    try:
        plan = Plan.parse(plan_content, f"{place}, plan")
    except PolytaskError as error:
        raise PolytaskError(
            f"{str(error).removesuffix('; correct it or plan again')}; export it again"
        ) from None
    for problem in find_disagreements(header, plan):
        raise PolytaskError(f"{place}: {problem}; export it again")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_MEMBERS:
        raise PolytaskError(f"{place}: members: expected 1 to {MAX_MEMBERS}; export it again")
    for number, entry in enumerate(entries):
        if problem := find_member_problem(plan, header, entry, entries[0]):
            raise PolytaskError(f"{place}: members.{number}: {problem}; export it again")
    weights = _read_weights(folder / WEIGHTS_FILE, seal)
    members = [_build_member(header, plan, k, entry, weights, place) for k, entry in enumerate(entries)]
    # Each network was compared with its own part of the file; this finds weights that belong to no network.
    used = sum(len(n.state_dict()) for m in members for n in m.networks)
    if used != len(weights):
        raise PolytaskError(f"{place}: its members do not fit the weights; export it again")
    promises = described.get(PROMISES_KEY)
    if promises is not None and not isinstance(promises, dict):
        raise PolytaskError(f"{place}: {PROMISES_KEY}: expected a mapping; export it again")
    return LoadedModel(header, plan, members, notices, folder, promises, folder)


def _read_weights(path: Path, seal: Any) -> dict[str, Tensor]:
    """Read the weights; refuse a file of another hash than `seal`, and numbers that are not finite."""
    if not path.exists() or sha256(path) != seal:
        raise PolytaskError(
            f"{path}: not the weights this model was exported with (hash mismatch); export it again"
        )
    weights = load_tensors(path)
    for name, tensor in weights.items():
        if not bool(torch.isfinite(tensor).all()):
            raise PolytaskError(f"{path}: {name} is not finite; expected numbers; export the model again")
    return weights


def _build_member(
    header: Header,
    plan: Plan,
    number: int,
    entry: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    place: Path,
) -> Member:
    """Build one member from its entry in the description; its weights are named `NUMBER/NETWORK/PARAMETER`.

    Its networks are first built without memory, to compare the shapes of their weights.
    """
    fold = plan.folds[entry["fold"]]
    fields_by_task = {
        n: parse_task_fields(f, f"{place}: members.{number}.tasks.{n}") for n, f in entry["tasks"].items()
    }
    learned = {n: {k: v for k, v in f.items() if k != "kind"} for n, f in fields_by_task.items()}
    names: Sequence[Sequence[str]] = entry["networks"]
    try:
        spec = make_network_spec(plan, fold, header)
        tasks = make_tasks(fold, [n for network in names for n in network], learned)
        for task in tasks.values():
            rehearse_decoding(task)
        networks = []
        for index, task_names in enumerate(names):
            start = f"{number}/{index}/"
            stored = {k[len(start) :]: v for k, v in weights.items() if k.startswith(start)}
            own = {n: tasks[n] for n in tasks if n in task_names}
            # A description may ask for a network of any size: on the meta device its shapes cost no memory.
            with torch.device("meta"):
                _ensure_weights_match(make_network(spec, own, 0).state_dict(), stored)
            network = make_network(spec, own, 0)
            network.load_state_dict(stored)
            networks.append(network)
        decisions = Decisions.from_dict(entry["decisions"]) if "decisions" in entry else Decisions()
        decisions.ensure_fit(tasks)
        baselines = check_baselines(entry.get("baselines", []))
    except PolytaskError as error:
        raise PolytaskError(f"{place}: members.{number}: {error}") from None
    except Exception as error:  # a changed description can make building the network fail in any way
        line = " ".join(str(error).split())[:160] or type(error).__name__
        raise PolytaskError(
            f"{place}: members.{number}: describes a network that does not fit the weights ({line}); export it again"
        ) from None
    primary = {n: t.primary for n, t in tasks.items()}
    figures = HeldOutMetrics.of({**entry, "metrics": entry.get("evaluation")}, primary)
    return Member(
        entry["fold"],
        entry["seed"],
        fold,
        tasks,
        tuple(networks),
        held_out=figures,
        decisions=decisions,
        baselines=baselines,
    )


def _ensure_weights_match(expected: Mapping[str, Tensor], stored: Mapping[str, Tensor]) -> None:
    """Refuse weights of a file whose names, shapes or types are not those of the network."""
    unequal = sorted(set(expected) ^ set(stored))
    unequal += [k for k in expected if k in stored and expected[k].shape != stored[k].shape]
    unequal += [k for k in expected if k in stored and expected[k].dtype != stored[k].dtype]
    if unequal:
        raise PolytaskError(f"{unequal[0]} does not match the weights; export the model again")


def rehearse_decoding(task: Task) -> None:
    """Decode outputs of zero and write them as cells, to see that the task's own numbers agree."""
    if task.level == "voxel":
        expect_voxel_task(task).answer(task.decode(torch.zeros(1, task.outputs, 2, 2)))
        return
    arrays = {k: np.asarray(v) for k, v in task.decode(torch.zeros(1, task.outputs)).items()}
    expect_pooled_task(task).columns(arrays, 0)
