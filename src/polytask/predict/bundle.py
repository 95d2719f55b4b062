"""An exported model: one folder that predicts without the cohort it came from."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from polytask.atomic_files import replace_folder_atomically
from polytask.errors import PolytaskError
from polytask.plain import write_plain_json
from polytask.predict.held_out import read_evaluation
from polytask.predict.load_runs import load_runs
from polytask.predict.model_card import make_model_card
from polytask.predict.promise_tensors import TENSORS_FILE, find_promised_tensors
from polytask.predict.promises import PROMISES_KEY
from polytask.predict.seal import SEAL_KEY, compute_seal
from polytask.predict.training_digests import TRAINING_DIGESTS_KEY, Progress, collect_training_digests
from polytask.tasks import dump_task_fields
from polytask.tasks.task import Task
from polytask.training.folder import Run, describe_environment
from polytask.training.tensor_files import save_tensors, sha256

WEIGHTS_FILE, DESCRIPTION_FILE = "model.safetensors", "model.json"


RevisePromises = Callable[[Mapping[str, Task], Mapping[str, Any] | None], Mapping[str, Any] | None]
"""Makes of the tasks and what the runs promise what the model shall promise."""


def export(
    runs: Sequence[Path | str],
    out: Path | str,
    progress: Progress | None = None,
    revise_promises: RevisePromises | None = None,
) -> Path:
    """Write runs of one plan (folds or seeds: an ensemble) as one model folder.

    Salted digests of the training images go along, so that `evaluate --on` recognizes them; no ids do. `progress` is
    called with (done, total, what) where these images have to be read; `revise_promises` may add to what goes along.
    """
    folders = [Path(r) for r in runs]
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise PolytaskError(
            f"{out}: is a file; expected a new folder, or a model to replace; choose another -o"
        )
    if out.exists() and any(out.iterdir()) and not (out / DESCRIPTION_FILE).exists():
        raise PolytaskError(f"{out}: not empty and not a model; choose another folder")
    model = load_runs(folders)
    promises = model.promises
    if revise_promises is not None:
        promises = revise_promises(model.members[0].tasks, promises)
    weights: dict[str, Tensor] = {}
    members = []
    tensors = find_promised_tensors(model.promises or {}, model.promise_folder or out)
    for number, (member, folder) in enumerate(zip(model.members, folders, strict=True)):
        record = Run.read(folder).record
        for index, network in enumerate(member.networks):
            weights |= {f"{number}/{index}/{k}": v for k, v in network.state_dict().items()}
        members.append(
            {
                "fold": member.fold,
                "seed": member.seed,
                "networks": [list(n.tasks) for n in member.networks],
                "tasks": {n: dump_task_fields(t) for n, t in member.tasks.items()},
                "decisions": member.decisions.as_dict(),
                "baselines": list(member.baselines),
                "run": {k: record.get(k) for k in ("name", "sharing", "created", "plan", "store")},
                **_collect_evaluation(Run.read(folder)),
            }
        )
    try:
        digests = collect_training_digests([Run.read(f) for f in folders], progress)
    except PolytaskError:  # store and cohort are gone or changed: the model works without them
        digests = None
    plan = model.plan.model_dump(mode="json")
    folds = {str(m.fold) for m in model.members}
    # Only the folds of the members go along, and no path: a bundle must not tell where it was made.
    plan["folds"] = {k: v for k, v in plan["folds"].items() if str(k) in folds}
    plan["cohort"] = ""

    def fill(new: Path) -> None:
        save_tensors(new / WEIGHTS_FILE, weights)
        if tensors is not None:
            shutil.copyfile(tensors, new / TENSORS_FILE)
        description = {
            "polytask": 1,
            "name": model.header.name,
            "notice": "Research use only. Not a medical device.",
            "sha256": sha256(new / WEIGHTS_FILE),
            "header": model.header.model_dump(mode="json"),
            "plan": plan,
            "members": members,
            "environment": describe_environment(),
            TRAINING_DIGESTS_KEY: None if digests is None else digests.as_dict(),
            PROMISES_KEY: promises,
        }
        write_plain_json(new / DESCRIPTION_FILE, description | {SEAL_KEY: compute_seal(description)})
        (new / "README.md").write_text(make_model_card(description), encoding="utf-8")

    try:
        replace_folder_atomically(out, fill)
    except OSError as error:
        raise PolytaskError(f"{out}: cannot write here ({error.strerror}); choose another folder") from None
    return out


def _collect_evaluation(run: Run) -> dict[str, Any]:
    """Read held-out metrics of the run's present weights, with all inputs and some hidden; None if not evaluated."""
    evaluation = read_evaluation(run.folder)
    # Metrics of earlier weights would be exported as those of the present ones: a run may be extended after evaluation.
    if evaluation is None or evaluation.get("weights") != run.weights:
        return {"evaluation": None, "hidden": {}, "needed": []}
    return {
        "evaluation": evaluation.get("metrics"),
        "hidden": evaluation.get("hidden", {}),
        "needed": evaluation.get("needed", []),
    }
