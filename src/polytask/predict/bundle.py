"""An exported model: one folder that predicts without the cohort it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from polytask.cohort.header import Header
from polytask.errors import PolytaskError
from polytask.plain import write_json
from polytask.plan.plan import Plan
from polytask.predict.baseline_file import check_baselines
from polytask.predict.card import card
from polytask.predict.held_out import HeldOut, read_evaluation
from polytask.predict.predictor import Member, Predictor
from polytask.predict.runs import load_runs
from polytask.predict.seen import KEY, Progress, find_seen
from polytask.tasks import fields_of
from polytask.training.assemble import make_network, make_tasks, network_spec
from polytask.training.decisions import Decisions
from polytask.training.files import load_tensors, replace_folder, save_tensors, sha256
from polytask.training.folder import Run, environment

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"


def export(runs: Sequence[Path | str], out: Path | str, progress: Progress | None = None) -> Path:
    """Write runs of one plan (folds or seeds: an ensemble) as one model folder.

    Salted digests of the training images go along, so that `evaluate --on` recognizes them; no ids do. `progress` is
    called with (done, total, what) where these images have to be read.
    """
    folders = [Path(r) for r in runs]
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise PolytaskError(
            f"{out}: is a file; expected a new folder, or a model to replace; choose another -o"
        )
    if out.exists() and any(out.iterdir()) and not (out / DESCRIPTION).exists():
        raise PolytaskError(f"{out}: not empty and not a model; choose another folder")
    predictor = load_runs(folders, torch.device("cpu"))
    weights: dict[str, Tensor] = {}
    members = []
    for number, (member, folder) in enumerate(zip(predictor.members, folders, strict=True)):
        record = Run.read(folder).record
        for index, network in enumerate(member.networks):
            weights |= {f"{number}/{index}/{k}": v for k, v in network.state_dict().items()}
        members.append(
            {
                "fold": member.fold,
                "seed": member.seed,
                "networks": [list(n.tasks) for n in member.networks],
                "tasks": {n: fields_of(t) for n, t in member.tasks.items()},
                "decisions": member.decisions.as_dict(),
                "baselines": list(member.baselines),
                "run": {k: record[k] for k in ("name", "sharing", "created", "plan", "store")},
                **_evaluation(Run.read(folder)),
            }
        )
    try:
        seen = find_seen([Run.read(f) for f in folders], progress)
    except PolytaskError:  # store and cohort are gone or changed: the model is no worse for it
        seen = None
    plan = predictor.plan.model_dump(mode="json")
    folds = {str(m.fold) for m in predictor.members}
    plan["folds"] = {k: v for k, v in plan["folds"].items() if str(k) in folds}
    plan["cohort"] = ""

    def fill(new: Path) -> None:
        save_tensors(new / WEIGHTS, weights)
        description = {
            "polytask": 1,
            "name": predictor.header.name,
            "notice": "Research use only. Not a medical device.",
            "sha256": sha256(new / WEIGHTS),
            "header": predictor.header.model_dump(mode="json"),
            "plan": plan,
            "members": members,
            "environment": environment(),
            KEY: None if seen is None else seen.as_dict(),
        }
        write_json(new / DESCRIPTION, description)
        (new / "README.md").write_text(card(description), encoding="utf-8")

    try:
        replace_folder(out, fill)
    except OSError as error:
        raise PolytaskError(f"{out}: cannot write here ({error.strerror}); choose another folder") from None
    return out


def load_bundle(folder: Path, device: torch.device) -> Predictor:
    """An exported model; the weights must be those it was exported with."""
    try:
        described: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        header = Header.model_validate(described["header"])
        plan = Plan.model_validate(described["plan"])
        entries = list(described["members"])
        seal = str(described["sha256"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        line = str(error).splitlines()[0]
        raise PolytaskError(
            f"{folder / DESCRIPTION}: not a model description ({line}); export it again"
        ) from None
    if not (folder / WEIGHTS).exists() or sha256(folder / WEIGHTS) != seal:
        raise PolytaskError(
            f"{folder / WEIGHTS}: not the weights this model was exported with (hash mismatch); export it again"
        )
    weights = load_tensors(folder / WEIGHTS)
    try:
        members = [_member(header, plan, k, entry, weights) for k, entry in enumerate(entries)]
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError):
        members = []
    if not members:
        raise PolytaskError(
            f"{folder / DESCRIPTION}: its members do not fit the weights; expected the file as it was exported; "
            "export it again"
        )
    return Predictor(header, plan, members, device)


def _member(
    header: Header, plan: Plan, number: int, entry: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> Member:
    """One member from its entry in the description; its weights are named `NUMBER/NETWORK/PARAMETER`."""
    fold = plan.folds[int(entry["fold"])]
    learnt = {n: {k: v for k, v in f.items() if k != "kind"} for n, f in entry["tasks"].items()}
    networks = []
    for index, names in enumerate(entry["networks"]):
        network = make_network(network_spec(plan, fold, header), make_tasks(fold, names, learnt), 0)
        start = f"{number}/{index}/"
        network.load_state_dict({k[len(start) :]: v for k, v in weights.items() if k.startswith(start)})
        networks.append(network)
    tasks = make_tasks(fold, [n for names in entry["networks"] for n in names], learnt)
    decisions = Decisions.from_dict(entry["decisions"]) if "decisions" in entry else Decisions()
    decisions.ensure_fit(tasks)
    return Member(
        int(entry["fold"]),
        int(entry["seed"]),
        fold,
        tasks,
        tuple(networks),
        held_out=HeldOut.of(
            {**entry, "metrics": entry.get("evaluation")}, {n: t.primary for n, t in tasks.items()}
        ),
        decisions=decisions,
        baselines=check_baselines(entry.get("baselines", [])),
    )


def _evaluation(run: Run) -> dict[str, Any]:
    """Held-out metrics of the run's present weights, with all inputs and with some hidden; None where not evaluated."""
    found = read_evaluation(run.folder)
    if found is None or found.get("weights") != run.weights:
        return {"evaluation": None, "hidden": {}, "needed": []}
    return {
        "evaluation": found.get("metrics"),
        "hidden": found.get("hidden", {}),
        "needed": found.get("needed", []),
    }
