"""Published systems as a few values of a plan: `model/presets/*.yaml`.

A preset speaks of kinds and levels of tasks; here it meets the tasks of a cohort.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from polytask.cohort.header import Header, PooledSpec
from polytask.documents.text import read_resource
from polytask.documents.yaml_reader import parse_yaml
from polytask.errors import PolytaskError, nearest
from polytask.kinds.class_words import list_answers
from polytask.plan.plan import Model, Plan
from polytask.plan.settings import set_values

PACKAGE = "polytask"
"""Kinds whose answer is class probabilities, which an embedding can read."""
KEPT = ("source_dropout", "dropout", "embedding", "deep_supervision")
"""Values of a plan's `model` that are no matter of architecture: a preset leaves them unless it names them."""


class Needs(BaseModel):
    """What a cohort must have for a preset to make sense.

    Args:
        tasks, visits, inputs: at least so many. kinds, levels: of each at least one task.
        answers: at least one task of one of these kinds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tasks: int = 1
    visits: int = 1
    inputs: int = 1
    kinds: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()


class Preset(BaseModel):
    """One file of `model/presets`.

    Args:
        line: what it is. source: who described it.
        model: values of the plan's `model`.
        after: kind or level → kinds or levels whose answers such tasks read.
        link: how they read the map of a voxel task.
        weights: kind or level → weight of the loss.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    line: str
    source: str
    needs: Needs = Needs()
    model: Annotated[dict[str, Any], Field(min_length=1)]
    after: dict[str, list[str]] = {}
    link: str | None = None
    weights: dict[str, float] = {}

    @property
    def name(self) -> str:
        """The line of `polytask list`."""
        return f"{self.line} ({self.source})"


def _read() -> dict[str, Preset]:
    """Name → preset, in alphabetical order."""
    folder = files(PACKAGE).joinpath("model", "presets")
    names = sorted(f.name for f in folder.iterdir() if f.name.endswith(".yaml"))
    return {
        name.removesuffix(".yaml"): Preset.model_validate(
            parse_yaml(read_resource(PACKAGE, f"model/presets/{name}"), name)
        )
        for name in names
    }


PRESETS: dict[str, Preset] = _read()


def apply_preset(plan: Plan, name: str, header: Header) -> Plan:
    """The plan with a preset's values.

    Raises:
        PolytaskError: an unknown name, or what the cohort lacks for it.
    """
    if name not in PRESETS:
        raise PolytaskError(f"--preset {name}: {nearest(name, list(PRESETS))}")
    preset = PRESETS[name]
    for lack in lacking(preset.needs, header):
        raise PolytaskError(
            f"--preset {name}: {lack}; it is {preset.line}; choose another of `polytask list presets`"
        )
    after = chain_of(preset.after, header)
    if preset.after and not after:
        raise PolytaskError(
            f"--preset {name}: no task of the cohort can follow another in it (it is {preset.line}); choose another of "
            "`polytask list presets`"
        )
    values: dict[str, Any] = {"model.preset": name, **{f"model.{k}": v for k, v in preset.model.items()}}
    values |= {f"model.after.{task}": others for task, others in after.items()}
    if preset.link:
        values |= {f"model.link.{task}": preset.link for task in after}
    for task in header.tasks:
        for word, weight in preset.weights.items():
            if is_a(word, task, header):
                values |= {f"training.weights.{task}": weight, "training.balance.rule": "fixed"}
    cleared = plan.model_copy(deep=True)
    cleared.shared.model = Model(**{key: getattr(plan.shared.model, key) for key in KEPT})
    cleared.shared.training.weights = {}
    cleared.shared.training.balance.rule = "equal"
    chosen = set_values(cleared, [f"{key}={json.dumps(value)}" for key, value in values.items()])
    for key in values:
        chosen.shared.why[key] = f"preset {name}: {preset.line}"
    return chosen


def lacking(needs: Needs, header: Header) -> Iterator[str]:
    """What a cohort does not have, in words."""
    kinds = {t.kind for t in header.tasks.values()}
    visits = len(header.visits or [""])
    if visits < needs.visits:
        yield f"it compares {needs.visits} visits and the cohort has {visits}: name `visits` in cohort.yaml"
    if len(header.tasks) < needs.tasks:
        yield f"it joins {needs.tasks} tasks and the cohort has {len(header.tasks)}"
    if len(header.inputs) < needs.inputs:
        yield f"it joins {needs.inputs} inputs and the cohort has {len(header.inputs)}"
    for kind in needs.kinds:
        if kind not in kinds:
            yield f"it needs a {kind} task and the cohort has none"
    for level in needs.levels:
        if not any(is_a(level, task, header) for task in header.tasks):
            yield f"it needs a {'visit or subject' if level == 'pooled' else level} task and the cohort has none"
    if needs.answers and not kinds & set(needs.answers):
        yield f"it needs a task of kind {' or '.join(needs.answers)} and the cohort has none"


def is_a(word: str, task: str, header: Header) -> bool:
    """Whether a task is of a kind or level; `pooled` = visit or subject."""
    spec = header.tasks[task]
    return word in (spec.kind, spec.level) or (word == "pooled" and spec.level != "voxel")


def chain_of(after: Mapping[str, list[str]], header: Header) -> dict[str, list[str]]:
    """Task → tasks before it. What cannot be is left out: a task after itself or after one that is after it, one after
    a task that sees more visits, an embedding of what is no class."""
    found: dict[str, list[str]] = {}
    for word, others in after.items():
        for task in (t for t in header.tasks if is_a(word, t, header)):
            for up in header.tasks:
                if not any(is_a(other, up, header) for other in others) or up == task:
                    continue
                later = header.tasks[up].level == "subject" and not _seen(up, header) <= _seen(task, header)
                answer = header.tasks[up].level == "voxel" or bool(list_answers(header.tasks[up]))
                if answer and not later and task not in found.get(up, []):
                    found.setdefault(task, []).append(up)
    return found


def _seen(task: str, header: Header) -> set[str]:
    """Visits a visit or subject task may read; of a visit task none for sure."""
    spec = header.tasks[task]
    if not isinstance(spec, PooledSpec) or spec.level == "visit":
        return set()
    return set(spec.visits or header.visits or [""])
