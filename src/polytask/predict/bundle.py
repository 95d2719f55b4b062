"""An exported model: one folder that predicts without the cohort it came from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polytask.errors import PolytaskError
from polytask.plain import write_json
from polytask.predict.card import card
from polytask.predict.held_out import read_evaluation
from polytask.predict.runs import load_runs
from polytask.predict.seal import SEAL, seal_of
from polytask.predict.seen import KEY, Progress, find_seen
from polytask.tasks import fields_of
from polytask.training.files import replace_folder, save_tensors, sha256
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
    # Only the folds of the members go along, and no path: a bundle must not tell where it was made.
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
        write_json(new / DESCRIPTION, description | {SEAL: seal_of(description)})
        (new / "README.md").write_text(card(description), encoding="utf-8")

    try:
        replace_folder(out, fill)
    except OSError as error:
        raise PolytaskError(f"{out}: cannot write here ({error.strerror}); choose another folder") from None
    return out


def _evaluation(run: Run) -> dict[str, Any]:
    """Read held-out metrics of the run's present weights, with all inputs and some hidden; None if not evaluated."""
    found = read_evaluation(run.folder)
    # Metrics of earlier weights would be exported as those of the present ones: a run may be extended after evaluation.
    if found is None or found.get("weights") != run.weights:
        return {"evaluation": None, "hidden": {}, "needed": []}
    return {
        "evaluation": found.get("metrics"),
        "hidden": found.get("hidden", {}),
        "needed": found.get("needed", []),
    }
