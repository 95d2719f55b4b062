"""List all registries, which `polytask list` shows.

A registry is an explicit dict, name → member, in the room that uses it. This file names each one by module and
attribute and imports it only when asked, so that a look at one registry does not load the others.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from importlib import import_module
from typing import Any

from polytask.errors import PolytaskError, suggest_word


@dataclass(frozen=True)
class Registry:
    """Where one registry is defined (`attribute` of `module`), and one line about its members."""

    module: str
    attribute: str
    line: str


REGISTRIES: dict[str, Registry] = {
    "tasks": Registry("polytask.tasks", "KINDS", "kinds of tasks: `kind` of a task in cohort.yaml"),
    "formats": Registry(
        "polytask.images.formats", "FORMATS", "image file formats, read and mostly also written"
    ),
    "importers": Registry(
        "polytask.cohort.importers", "IMPORTERS", "layouts of data that `polytask import` can read"
    ),
    "checks": Registry("polytask.cohort.check", "CHECKS", "what `polytask check` checks"),
    "encoder": Registry(
        "polytask.model.building_blocks",
        "ENCODERS",
        "what the encoders of images are made of: `train --set model.encoder=…`",
    ),
    "sharing": Registry(
        "polytask.model.sharing", "SHARINGS", "which features each task sees: `train --sharing`"
    ),
    "decoder": Registry(
        "polytask.model.decoders",
        "DECODERS",
        "how the voxel tasks of an image are decoded: `train --set model.decoder=NAME`",
    ),
    "visit_fusion": Registry(
        "polytask.model.visit_fusion",
        "VISIT_FUSIONS",
        "how the visits of a subject are combined: `train --visit-fusion`",
    ),
    "input_fusion": Registry(
        "polytask.model.input_fusion",
        "INPUT_FUSIONS",
        "how the inputs of a case are combined: `train --input-fusion`",
    ),
    "order": Registry(
        "polytask.model.order",
        "LINKS",
        "how a task reads the answer of another: `train --after`, `model.link`",
    ),
    "balance": Registry(
        "polytask.balance",
        "RULES",
        "how the losses or gradients of the tasks are combined: `train --balance`",
    ),
    "spread": Registry(
        "polytask.tasks.spread",
        "SPREADS",
        "how far the truth may lie from a number: `plan --set 'folds.*.tasks.TASK.spread=NAME'`",
    ),
    "doctor": Registry("polytask.evaluation.doctor", "FINDINGS", "what `polytask doctor` looks for"),
    "presets": Registry("polytask.plan.presets", "PRESETS", "published systems: `train --preset`"),
}

OLD_NAMES = {"time": "visit_fusion", "sources": "input_fusion"}
"""Former name of a registry → the present one; `polytask list` still accepts the former."""


def load_registry(name: str) -> Mapping[str, Any]:
    """Import a registry and return its dict, name → member."""
    if name not in REGISTRIES:
        raise PolytaskError(
            f"no registry is called {name!r}: {suggest_word(name, REGISTRIES, 'choose from')}"
        )
    place = REGISTRIES[name]
    members: Mapping[str, Any] = getattr(import_module(place.module), place.attribute)
    return members


def list_members(name: str) -> dict[str, str]:
    """List the members of a registry with their lines: name → line, in the registry's order."""
    return {member: find_summary_line(value) for member, value in load_registry(name).items()}


def find_summary_line(member: object) -> str:
    """Find the line that describes a member.

    It is the first docstring line of a class, function or module. For any other object it is its `name`, or else the
    first docstring line of its class. Returns "" when there is none: the text `Name(field: type, …)` that a dataclass
    gets by itself does not count.
    """
    owner = member
    if not (isinstance(member, type) or inspect.isroutine(member) or inspect.ismodule(member)):
        if isinstance(name := getattr(member, "name", None), str):
            return name
        owner = type(member)
    text = owner.__doc__ or ""
    if is_dataclass(owner) and text.startswith(f"{getattr(owner, '__name__', '')}("):
        return ""
    return text.strip().split("\n", maxsplit=1)[0].strip()
