"""Plans the values of a run again that depend on one set for it, as `polytask plan --set` does for all runs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from polytask.cohort.header import Header
from polytask.errors import PolytaskError
from polytask.plan.machine import Machine
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_values
from polytask.plan.planner import MEMORY_KEYS
from polytask.plan.replan import PlanningFacts, list_shared_values
from polytask.plan.setting_paths import HAND_SET_WORDS, parse_settings
from polytask.prepare.recipe import digest_stored_geometry
from polytask.training.cohort_folder import find_cohort_folder
from polytask.training.memory_warning import MemoryExcess
from polytask.training.run_request import RunRequest

SIZING_SECTIONS = ("images", "slides", "max_visits", "training", "augmentation")
"""Sections of the shared part whose values decide others."""
KEPT_VALUES = ("threads", "workers", "precision", "compile", "weights", "balance")
"""Values of `training` that say how a run computes. Sizes follow them in a plan for all runs; one run keeps its sizes,
so that it can be compared with others."""
BATCH_PATHS = ("training.batch", "training.accumulation")
"""Values that say of how many samples a step is made; where one was set by hand, nobody else decides them."""


def list_sizing_overrides(plan: Plan, overrides: Sequence[str]) -> list[str]:
    """List those of some settings on which other values of the shared part depend."""
    folds = {number: fold.untrained for number, fold in plan.folds.items()}
    sizing = []
    for text in overrides:
        paths = [setting.words for setting in parse_settings([text], folds)]
        if all(words[0] == "shared" and words[1] in SIZING_SECTIONS for words in paths) and not any(
            words[1] == "training" and words[2:3] and words[2] in KEPT_VALUES for words in paths
        ):
            sizing.append(text)
    return sizing


def plan_overrides_again(work: Path, plan: Plan, request: RunRequest) -> tuple[Plan, list[str]]:
    """Return the plan of a work folder with what depends on the settings of a request planned again.

    Returns it with the settings that are still to be made: all of them, where the run keeps the sizes of the plan or
    the work folder does not have the facts that the plan was made from.
    """
    overrides = list(request.overrides)
    sizing = [] if request.keep_sizes else list_sizing_overrides(plan, overrides)
    facts = PlanningFacts.find(work, plan, find_cohort_folder(work, plan)) if sizing else None
    settings = facts.list_settings() if facts else None
    if facts is None or settings is None:
        return plan, overrides
    return facts.plan_again([*settings, *sizing]), [text for text in overrides if text not in sizing]


def list_followers(work: Path, plan: Plan, overrides: Sequence[str]) -> list[str]:
    """List the values of images and slides that are others if they are planned again than if only these are set."""
    # Nothing of images and slides follows values of other sections that a single run may change.
    if not any(
        text.strip().removeprefix("shared.").startswith(("images.", "slides.", "max_visits"))
        for text in overrides
    ):
        return []
    changed, left = plan_overrides_again(work, plan, RunRequest(overrides=overrides))
    if left == list(overrides):
        return []
    # Where the values contradict the others, all that changes has to follow.
    with suppress(PolytaskError):
        plan = set_values(plan, overrides)
    before = dict(list_shared_values(plan.shared))
    named = [text.partition("=")[0].strip().removeprefix("shared.") for text in overrides]
    return [
        path
        for path, value in list_shared_values(changed.shared)
        if path.startswith(("images.", "slides."))
        and before.get(path) != value
        and not any(name == path or name.startswith(f"{path}.") for name in named)
    ]


def write_plan_command(work: Path, plan: Plan, settings: Sequence[str]) -> str:
    """Write the commands that plan and prepare a work folder again with some more settings."""
    facts = PlanningFacts.find(work, plan, find_cohort_folder(work, plan))
    earlier = (facts.list_settings() if facts else None) or []
    options = [word for text in dict.fromkeys([*earlier, *settings]) for word in ("--set", text)]
    cohort = find_cohort_folder(work, plan)
    command = [
        "polytask",
        "plan",
        str(cohort),
        "-o",
        str(work),
        "--splits",
        str(work / "splits.json"),
        *options,
    ]
    return f"{shlex.join(command)} && {shlex.join(['polytask', 'prepare', str(work)])}"


def fit_batch(plan: Plan, excess: MemoryExcess) -> Plan:
    """Return the plan of a run with a batch that fits, and so many of them in a step that the step stays the same."""
    fitted = plan.model_copy(deep=True)
    training, why = fitted.shared.training, fitted.shared.why
    parts = training.batch // excess.fitting
    words = excess.words.removeprefix("memory: ")
    why["training.batch"] = f"{excess.fitting}, so that it fits: {words}"
    why["training.accumulation"] = (
        f"{training.accumulation * parts}: so many batches make the step of {training.batch * training.accumulation} "
        "samples that was planned"
    )
    training.batch, training.accumulation = excess.fitting, training.accumulation * parts
    return fitted


def plan_smaller_sizes(work: Path, plan: Plan, request: RunRequest, machine: Machine) -> Plan | None:
    """Plan the sizes of a work folder again for the architecture of a run; None where that cannot be done.

    Args:
        plan: that of the run. machine: where it trains.
    """
    planned = Plan.read(work)
    facts = PlanningFacts.find(work, planned, find_cohort_folder(work, planned))
    settings = facts.list_settings() if facts else None
    if facts is None or settings is None or facts.machine.device != machine.device:
        return None
    architecture = list_architecture_settings(plan)
    memory = replace(facts.machine, memory=machine.memory, device_memory=machine.device_memory)
    sizing = list_sizing_overrides(planned, request.overrides)
    try:
        return facts.plan_again([*settings, *sizing, *architecture], memory)
    except PolytaskError:
        return None


def list_architecture_settings(plan: Plan) -> list[str]:
    """List the values of an architecture on which the memory of a step depends, as settings."""
    return [f"model.{key}={json.dumps(getattr(plan.shared.model, key))}" for key in MEMORY_KEYS]


def has_batch_by_hand(work: Path, plan: Plan, request: RunRequest) -> bool:
    """Whether the batch was set by hand, for the run or in the plan of its work folder."""
    planned = Plan.read(work)
    facts = PlanningFacts.find(work, planned, find_cohort_folder(work, planned))
    settings = [*((facts.list_settings() if facts else None) or ()), *request.overrides]
    named = {text.partition("=")[0].strip().removeprefix("shared.") for text in settings}
    return any(
        path in named or plan.shared.why.get(path, "").startswith(HAND_SET_WORDS) for path in BATCH_PATHS
    )


def has_same_arrays(header: Header, one: Plan, other: Plan) -> bool:
    """Whether two plans read the same prepared arrays."""
    return digest_stored_geometry(header, one) == digest_stored_geometry(header, other)
