"""Opens the model that is judged: a run, or an exported model that needs nothing but its own folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polytask.documents.json_reader import read_json_object
from polytask.errors import PolytaskError
from polytask.evaluation.evaluated_part import hash_weights
from polytask.evaluation.evaluation_result import EVALUATION_FILE, EstimatesByTask, Evaluation, parse_metrics
from polytask.predict.bundle import DESCRIPTION_FILE
from polytask.predict.predictor import Predictor
from polytask.predict.training_digests import (
    TRAINING_DIGESTS_KEY,
    Progress,
    TrainingDigests,
    collect_training_digests,
    read_run_fold,
)
from polytask.training.folder import Run


@dataclass(frozen=True)
class JudgedModel:
    """A model with what is known about its training.

    Args:
        predictor: ready to answer. run: None for an exported model.
        record: name, fold, seed, sharing, and for an exported model when and with which versions it was made.
        trained_on: name of the cohort that it was trained on.
        weights: network → sha256 of its weights.
        held_out: metrics of each member on its held-out part; empty where one was not evaluated.
        why_not: why `held_out` is empty, and what to do about it.
        seen: digests of the subjects that it was trained on; None when they are not known, then `unseen` says why.
        ids: ids of the subjects of train and tune; empty for an exported model, which holds none.
    """

    predictor: Predictor
    run: Run | None
    record: Mapping[str, Any]
    trained_on: str
    weights: dict[str, str]
    held_out: tuple[EstimatesByTask, ...]
    why_not: str
    seen: TrainingDigests | None
    unseen: str
    ids: frozenset[str] = frozenset()

    @property
    def categories(self) -> dict[str, list[str]]:
        """Table column → the values that some member learned, after those that the header names."""
        values_by_column: dict[str, list[str]] = {}
        for table in self.predictor.header.tables.values():
            values_by_column |= {c: list(s.values) for c, s in table.columns.items() if s.values is not None}
        for member in self.predictor.members:
            for columns in member.plan.tables.values():
                for name, column in columns.items():
                    values_by_column[name] = list(
                        dict.fromkeys([*values_by_column.get(name, []), *column.values])
                    )
        return values_by_column


def open_model(source: Path, device: str | None = None, progress: Progress | None = None) -> JudgedModel:
    """Open the folder of a run or of an exported model."""
    predictor = Predictor.load(source, device=device)
    if (source / DESCRIPTION_FILE).exists():
        return _open_exported_model(source, predictor)
    run = Run.read(source)
    held_out, why_not = _read_held_out_metrics(run)
    seen, unseen, ids = None, "", frozenset[str]()
    try:
        fold = read_run_fold(run)
        ids = frozenset((*fold.train, *fold.tune))
        seen = collect_training_digests([run], progress)
    except PolytaskError as error:
        unseen = str(error)
    record = {k: run.record[k] for k in ("name", "fold", "seed", "sharing")}
    return JudgedModel(
        predictor, run, record, predictor.header.name, hash_weights(run), held_out, why_not, seen, unseen, ids
    )  # fmt: skip


def _read_held_out_metrics(run: Run) -> tuple[tuple[EstimatesByTask, ...], str]:
    path = run.folder / EVALUATION_FILE
    again = f"run `polytask evaluate {run.folder}` and then this again"
    if not path.exists():
        return (), f"the run was not evaluated on held-out: {again}"
    evaluation = Evaluation.read(path)
    if evaluation.weights != hash_weights(run):
        return (), f"the weights changed since the run was evaluated on held-out: {again}"
    return (evaluation.metrics,), ""


def _open_exported_model(folder: Path, predictor: Predictor) -> JudgedModel:
    described: dict[str, Any] = read_json_object(
        folder / DESCRIPTION_FILE, "a model description", "export the model again"
    )
    try:
        members = [m["evaluation"] for m in described["members"]]
        held_out = tuple(parse_metrics(m) for m in members if m)
        runs = [m["run"] for m in described["members"]]
        record = {
            "name": folder.resolve().name,
            "fold": predictor.members[0].fold,
            "seed": predictor.members[0].seed,
            "sharing": ", ".join(dict.fromkeys(str(r["sharing"]) for r in runs)),
            "created": str(runs[0]["created"]),
            **{k: str(described["environment"][k]) for k in ("polytask", "torch")},
        }
        seen = (
            TrainingDigests.from_dict(described[TRAINING_DIGESTS_KEY])
            if described.get(TRAINING_DIGESTS_KEY)
            else None
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PolytaskError(
            f"{folder / DESCRIPTION_FILE}: not as `polytask export` wrote it ({error}); export it again"
        ) from None
    whole = len(held_out) == len(members)
    return JudgedModel(
        predictor=predictor,
        run=None,
        record=record,
        trained_on=str(described["name"]),
        weights={"": str(described["sha256"])},
        # A mean over some members only would look like that of the whole ensemble.
        held_out=held_out if whole else (),
        why_not="" if whole else (
            "the model was exported before its runs were evaluated on held-out: evaluate them and export again"
        ),
        seen=seen,
        unseen="" if seen else "the model holds no digests of its training images: export it again",
    )  # fmt: skip
