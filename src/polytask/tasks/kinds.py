"""The registry of kinds, and how a plan's mapping becomes a task and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any

from polytask.errors import PolytaskError, nearest
from polytask.tasks.classification import Classification
from polytask.tasks.dose import Dose
from polytask.tasks.multilabel import Multilabel
from polytask.tasks.ordinal import Ordinal
from polytask.tasks.regression import Regression
from polytask.tasks.segmentation import Segmentation
from polytask.tasks.survival import Survival
from polytask.tasks.task import Task

KINDS: dict[str, type[Any]] = {
    "segmentation": Segmentation,
    "classification": Classification,
    "multilabel": Multilabel,
    "ordinal": Ordinal,
    "regression": Regression,
    "survival": Survival,
    "dose": Dose,
}
LENGTHS = {"frequencies": ("classes", "labels"), "fractions": ("structures",), "hazards": ("bins",)}
"""Fields with one number for each entry of another field."""
NOTHING = {
    "segmentation": "expected at least one of 'structures'",
    "classification": "expected at least two 'classes'",
    "multilabel": "expected at least one of 'labels'",
    "ordinal": "expected at least two 'classes'",
    "survival": "loss 'hazard' expects 'bins'; add them, or choose loss 'cox'",
}


def _frozen(value: Any) -> Any:
    """Lists of a YAML or JSON file → tuples, at any depth."""
    if isinstance(value, Mapping):
        return {k: _frozen(v) for k, v in value.items()}
    return tuple(_frozen(v) for v in value) if isinstance(value, list | tuple) else value


def make_task(name: str, mapping: Mapping[str, Any]) -> Task:
    """A task from its `kind` and fields, as they stand in `folds.K.tasks.NAME` of a plan."""
    given = {k: _frozen(v) for k, v in mapping.items() if k not in ("kind", "name")}
    kind = KINDS.get(mapping.get("kind", ""))
    if kind is None:
        raise PolytaskError(
            f"plan, task {name!r}: kind {mapping.get('kind')!r} is not known; expected one of {', '.join(KINDS)}; "
            "correct it or plan again"
        )
    known = {f.name: f for f in fields(kind) if f.name != "name"}
    for key in given:
        if key not in known:
            hint = nearest(key, known, "expected one of")
            raise PolytaskError(
                f"plan, task {name!r}: unknown field {key!r}; {hint}; correct it or plan again"
            )
    missing = [
        k
        for k, f in known.items()
        if k not in given and f.default is MISSING and f.default_factory is MISSING
    ]
    if missing:
        raise PolytaskError(
            f"plan, task {name!r}: field {missing[0]!r} of a {mapping['kind']} is missing; plan again"
        )
    task: Task = kind(name=name, **given)
    for field, owners in LENGTHS.items():
        values = given.get(field, ())
        owner = next((o for o in owners if o in given), "")
        if values and owner and len(values) != len(given[owner]):
            raise PolytaskError(
                f"plan, task {name!r}: {field!r} has {len(values)} numbers; expected {len(given[owner])}, one for each "
                f"of {owner!r}; correct it or plan again"
            )
    if task.outputs < 1:
        raise PolytaskError(f"plan, task {name!r}: nothing to predict; {NOTHING[task.kind]}")
    return task


def fields_of(task: Task) -> dict[str, Any]:
    """The mapping `make_task` reads: `kind` and every field but the name."""
    found: dict[str, Any] = asdict(task)  # type: ignore[call-overload]
    found.pop("name")
    return {"kind": task.kind, **found}
