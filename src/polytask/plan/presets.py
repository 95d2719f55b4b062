"""Applies presets: published systems, each described by a few values of a plan in `model/presets/*.yaml`.

A preset names kinds and levels of tasks; this file translates them to the tasks of a cohort.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from polytask.cohort.header import Header, PooledSpec, VoxelSpec
from polytask.cohort.read_visits import list_joined_visits, list_read_visits
from polytask.documents.text_reader import read_resource
from polytask.documents.yaml_reader import parse_yaml
from polytask.errors import PolytaskError, suggest_word
from polytask.kinds.task_spec import MaskSpec
from polytask.plan.model_plan import ModelPlan
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_values

PRESET_PACKAGE = "polytask"
"""The installed package whose folder `model/presets` holds the files."""
NON_ARCHITECTURE_KEYS = ("trunk", "source_dropout", "dropout", "embedding", "deep_supervision")
"""Values of a plan's `model` that a preset changes only if it names them: they are not what a system is known for, or
sizes were planned for them."""

LEVEL_WORDS = {
    "pooled": "visit or subject task",
    "joined": "subject task that reads several visits",
    "finding": "segmentation task whose masks are not the structures of a dose",
}
"""Word of a preset → what a task of it is called in a message."""


class PresetNeeds(BaseModel):
    """What a cohort must have so that a preset makes sense.

    Args:
        tasks, visits, inputs: the smallest number of each.
        kinds, levels: for each of these, the cohort needs at least one task.
        answers: the cohort needs at least one task of one of these kinds.
        drawn_together: the smallest number of voxel tasks that some image needs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tasks: int = 1
    visits: int = 1
    inputs: int = 1
    kinds: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    drawn_together: int = 0


class Preset(BaseModel):
    """The content of one file of `model/presets`.

    Args:
        line: what the system is, in one line. source: who described it.
        reconstructed: what neither a text nor code says, so that it is ours.
        model: values for the plan's `model`.
        after: kind or level of a task → kinds or levels of the tasks whose answers it reads.
        link: how these tasks read the map of a voxel task.
        weights: kind or level of a task → weight of its loss.
        visit_weights: the same for each visit: a task's loss is the mean over the visits, so that its weight becomes
            this times their number.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    line: str
    source: str
    reconstructed: Annotated[str, Field(min_length=1)]
    needs: PresetNeeds = PresetNeeds()
    model: Annotated[dict[str, Any], Field(min_length=1)]
    after: dict[str, list[str]] = {}
    link: str | None = None
    weights: dict[str, float] = {}
    visit_weights: dict[str, float] = {}

    @property
    def name(self) -> str:
        """The line that `polytask list presets` prints."""
        return f"{self.line} ({self.source}; reconstructed: {self.reconstructed})"


def _read_presets() -> dict[str, Preset]:
    """Read all preset files; the result maps name → preset in alphabetical order."""
    folder = files(PRESET_PACKAGE).joinpath("model", "presets")
    names = sorted(f.name for f in folder.iterdir() if f.name.endswith(".yaml"))
    return {
        name.removesuffix(".yaml"): Preset.model_validate(
            parse_yaml(read_resource(PRESET_PACKAGE, f"model/presets/{name}"), name)
        )
        for name in names
    }


PRESETS: dict[str, Preset] = _read_presets()


def apply_preset(plan: Plan, name: str, header: Header) -> Plan:
    """Return a copy of the plan with the values of a preset.

    Raises:
        PolytaskError: the name is unknown, or the cohort lacks something that the preset needs.
    """
    if name not in PRESETS:
        raise PolytaskError(f"--preset {name}: {suggest_word(name, list(PRESETS))}")
    preset = PRESETS[name]
    for lack in list_unmet_needs(preset.needs, header):
        raise PolytaskError(
            f"--preset {name}: {lack}; it is {preset.line}; choose another of `polytask list presets`"
        )
    after = build_task_chain(preset.after, header)
    if preset.after and not after:
        raise PolytaskError(
            f"--preset {name}: {describe_missing_chain(preset.after, header)}; it is {preset.line}; choose another of "
            "`polytask list presets`"
        )
    values: dict[str, Any] = {"model.preset": name, **{f"model.{k}": v for k, v in preset.model.items()}}
    values |= {f"model.after.{task}": others for task, others in after.items()}
    if preset.link:
        # Only a map can be read in several ways.
        maps = [t for t, others in after.items() if any(header.tasks[o].level == "voxel" for o in others)]
        values |= {f"model.link.{task}": preset.link for task in maps}
    weights, reasons = _weigh_tasks(preset, header)
    if weights:
        values |= {f"training.weights.{task}": w for task, w in weights.items()}
        values["training.balance.rule"] = "fixed"
    # Start from the defaults of the architecture: otherwise values of an earlier preset would survive in this one.
    cleared = plan.model_copy(deep=True)
    cleared.shared.model = ModelPlan(
        **{key: getattr(plan.shared.model, key) for key in NON_ARCHITECTURE_KEYS}
    )
    cleared.shared.training.weights = {}
    cleared.shared.training.balance.rule = "equal"
    chosen = set_values(cleared, [f"{key}={json.dumps(value)}" for key, value in values.items()])
    if passes := preset.model.get("passes"):
        reasons["model.passes"] = (
            f"{passes} Monte-Carlo passes: the decoder of a mask that others read runs {passes - 1} times more in a "
            f"training step, without gradient, and {passes} times more in a prediction"
        )
    for key in values:
        reason = reasons.get(key.removeprefix("training.weights."), preset.line)
        chosen.shared.why[key] = f"preset {name}: {reason}"
    return chosen


def _weigh_tasks(preset: Preset, header: Header) -> tuple[dict[str, float], dict[str, str]]:
    """Find the weights of the losses, and the reasons of those that depend on the number of visits, by task."""
    weights: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for task in header.tasks:
        for word, weight in preset.weights.items():
            if matches_kind_or_level(word, task, header):
                weights[task] = weight
        for word, weight in preset.visit_weights.items():
            if matches_kind_or_level(word, task, header):
                visits = len(list_read_visits(header, [task]))
                weights[task] = round(weight * visits, 6)
                reasons[task] = f"{weight:g} for each of {visits} visits: its loss is the mean over them"
    return weights, reasons


def list_unmet_needs(needs: PresetNeeds, header: Header) -> Iterator[str]:
    """Yield, in words, each requirement of a preset that the cohort does not meet."""
    kinds = {t.kind for t in header.tasks.values()}
    visits = len(header.visits or [""])
    if visits < needs.visits:
        yield f"it needs {needs.visits} visits and the cohort has {visits}: list `visits` in cohort.yaml"
    if len(header.tasks) < needs.tasks:
        yield f"it needs {needs.tasks} tasks and the cohort has {len(header.tasks)}"
    if len(header.inputs) < needs.inputs:
        yield f"it needs {needs.inputs} inputs and the cohort has {len(header.inputs)}"
    for kind in needs.kinds:
        if kind not in kinds:
            yield f"it needs a {kind} task and the cohort has none"
    for level in needs.levels:
        if not any(matches_kind_or_level(level, task, header) for task in header.tasks):
            yield f"it needs a {LEVEL_WORDS.get(level, f'{level} task')} and the cohort has none"
    drawn = Counter(spec.image for spec in header.tasks.values() if isinstance(spec, VoxelSpec))
    if needs.drawn_together > (most := max(drawn.values(), default=0)):
        yield f"it needs {needs.drawn_together} voxel tasks on one image and the cohort has {most}"
    if needs.answers and not kinds & set(needs.answers):
        yield f"it needs a task of kind {' or '.join(needs.answers)} and the cohort has none"


def describe_missing_chain(after: Mapping[str, list[str]], header: Header) -> str:
    """Describe which tasks a preset would chain, and which tasks the cohort has instead."""
    pairs = [
        f"a {LEVEL_WORDS.get(word, f'{word} task')} and a "
        f"{' or '.join(LEVEL_WORDS.get(other, f'{other} task') for other in others)} whose answer it may read"
        for word, others in after.items()
    ]
    tasks = ", ".join(f"{name} ({spec.kind})" for name, spec in header.tasks.items())
    return f"its chain needs {', or '.join(pairs)}, and the cohort has {tasks}"


def matches_kind_or_level(word: str, task: str, header: Header) -> bool:
    """Whether a task has the kind or level that a word names.

    `pooled` stands for visit or subject level, `joined` for a subject task that joins several visits, and `finding` for
    the one mask of what is treated (`find_finding`).
    """
    spec = header.tasks[task]
    if word == "joined":
        return len(list_joined_visits(header, task)) > 1
    if word == "finding":
        return task == find_finding(header)
    return word in (spec.kind, spec.level) or (word == "pooled" and spec.level != "voxel")


def find_finding(header: Header) -> str | None:
    """Find the mask of what is treated: the first segmentation of the header whose structures no dose is judged by.

    Structures of a dose are the organs that it should spare. None: there is no such segmentation.
    """
    spared = {spec.judging_masks for spec in header.tasks.values() if isinstance(spec, VoxelSpec)}
    masks = (name for name, spec in header.tasks.items() if isinstance(spec, MaskSpec))
    return next((name for name in masks if name not in spared), None)


def build_task_chain(after: Mapping[str, list[str]], header: Header) -> dict[str, list[str]]:
    """Build the chain of a preset for the tasks of a cohort: task → the tasks whose answers it reads.

    Impossible links are left out: a task that reads itself or a task that already reads it, and a task that reads one
    which sees more visits.
    """
    chain: dict[str, list[str]] = {}
    for word, others in after.items():
        for task in (t for t in header.tasks if matches_kind_or_level(word, t, header)):
            for up in header.tasks:
                if not any(matches_kind_or_level(other, up, header) for other in others) or up == task:
                    continue
                later = header.tasks[up].level == "subject" and not _list_readable_visits(
                    up, header
                ) <= _list_readable_visits(task, header)
                if not later and task not in chain.get(up, []):
                    chain.setdefault(task, []).append(up)
    return chain


def _list_readable_visits(task: str, header: Header) -> set[str]:
    """List the visits that a subject task may read; the set is empty for other tasks."""
    spec = header.tasks[task]
    # A visit task reads one visit at a time, so that no particular visit is certain to be among them.
    if not isinstance(spec, PooledSpec) or spec.level == "visit":
        return set()
    return set(spec.visits or header.visits or [""])
