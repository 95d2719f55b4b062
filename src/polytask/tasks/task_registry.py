"""The registry of task classes, and the conversion between a plan's mapping and a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from importlib import import_module
from typing import Any

from polytask import kinds
from polytask.errors import PolytaskError, suggest_word
from polytask.kinds.kind import AnswerForm
from polytask.tasks.task import Task


def load_task_class(kind: str) -> type[Any]:
    """Import the class that a kind names in `task_class`: head, loss, decoding, metrics."""
    module, _, name = kinds.KINDS[kind].task_class.partition(":")
    task_class: type[Any] = getattr(import_module(module), name)
    return task_class


KINDS: dict[str, type[Any]] = {name: load_task_class(name) for name in kinds.KINDS}
"""Name of a kind → its task class."""


def find_task_form(task: Task) -> AnswerForm:
    """Find the form of a task's answers, e.g. `masks`; for rooms that know tasks and no kinds."""
    return kinds.find_answer_form(task.kind)


def _freeze_lists(value: Any) -> Any:
    """Turn the lists of a YAML or JSON file into tuples, at any depth."""
    # A task is a frozen dataclass; a list inside it could still be changed.
    if isinstance(value, Mapping):
        return {k: _freeze_lists(v) for k, v in value.items()}
    return tuple(_freeze_lists(v) for v in value) if isinstance(value, list | tuple) else value


def make_task(name: str, mapping: Mapping[str, Any]) -> Task:
    """Make a task from its `kind` and fields, as they stand in `folds.K.tasks.NAME` of a plan."""
    entries = {k: _freeze_lists(v) for k, v in mapping.items() if k not in ("kind", "name")}
    kind = KINDS.get(mapping.get("kind", ""))
    if kind is None:
        raise PolytaskError(
            f"plan, task {name!r}: kind {mapping.get('kind')!r} is not known; expected one of {', '.join(KINDS)}; "
            "correct it or plan again"
        )
    known = {f.name: f for f in fields(kind) if f.name != "name"}
    for key in entries:
        if key not in known:
            hint = suggest_word(key, known, "expected one of")
            raise PolytaskError(
                f"plan, task {name!r}: unknown field {key!r}; {hint}; correct it or plan again"
            )
    missing = [
        k
        for k, f in known.items()
        if k not in entries and f.default is MISSING and f.default_factory is MISSING
    ]
    if missing:
        raise PolytaskError(
            f"plan, task {name!r}: field {missing[0]!r} of a {mapping['kind']} is missing; plan again"
        )
    task: Task = kind(name=name, **entries)
    of = kinds.KINDS[task.kind]
    for field, owner in of.fields.lengths.items():
        values = entries.get(field, ())
        if values and owner in entries and len(values) != len(entries[owner]):
            raise PolytaskError(
                f"plan, task {name!r}: {field!r} has {len(values)} numbers; expected {len(entries[owner])}, one for "
                f"each of {owner!r}; correct it or plan again"
            )
    if task.outputs < 1:
        raise PolytaskError(f"plan, task {name!r}: nothing to predict; {of.nothing_message}")
    return task


def dump_task_fields(task: Task) -> dict[str, Any]:
    """Return the mapping that `make_task` reads: `kind` and every field except the name."""
    fields_by_name: dict[str, Any] = asdict(task)  # type: ignore[call-overload]
    fields_by_name.pop("name")
    return {"kind": task.kind, **fields_by_name}
