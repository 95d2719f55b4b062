"""Checks that the parts of an exported model agree: its header, its plan, its members."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from polytask.cohort import header as of
from polytask.cohort.header import Header, count_modality_planes
from polytask.errors import PolytaskError
from polytask.kinds import find_answer_form
from polytask.kinds.class_words import list_answer_words
from polytask.kinds.kind import AnswerForm
from polytask.plan.plan_schema import FoldPlan, Plan
from polytask.plan.validate import parse_task_fields

CLASS_NAME_FIELDS: dict[AnswerForm, str] = {
    "class": "classes",
    "grade": "classes",
    "labels": "labels",
    "masks": "structures",
}
"""Form of the answers → the field of a planned task that must repeat the names of the header."""


def find_disagreements(header: Header, plan: Plan) -> Iterator[str]:
    """Yield where header and plan differ, and what is missing from the plan."""
    images, slides = plan.shared.images, plan.shared.slides
    if set(images) != set(header.images) or set(slides) != set(header.slides):
        yield "plan.shared: its images and slides are not those of the header"
        return
    for name, image in header.images.items():
        if (image.dims, dict(image.channels)) != (images[name].dims, dict(images[name].channels)):
            yield f"plan.shared.images.{name}: other dimensions or channels than in the header"
    for name, slide in header.slides.items():
        if slide.features != slides[name].features:
            yield f"plan.shared.slides.{name}: other features than in the header"
    for number, fold in plan.folds.items():
        for problem in _find_fold_problems(header, fold):
            yield f"plan.folds.{number}.{problem}"


def _find_fold_problems(header: Header, fold: FoldPlan) -> Iterator[str]:
    for name, image in header.images.items():
        rules = fold.normalization.get(name, {})
        for channel, modality in image.channels.items():
            if len(rules.get(channel, [])) != count_modality_planes(modality):
                yield (
                    f"normalization.{name}.{channel}: expected {count_modality_planes(modality)} rules, one for "
                    "each plane"
                )
    for name, slide in header.slides.items():
        # Colors are normalized by one rule for each of three channels, features by one for all.
        wanted = 3 if slide.features is None else 1
        if len(fold.slides.get(name, [])) != wanted:
            yield f"slides.{name}: expected {wanted} rules"
    if set(fold.tables) != set(header.tables):
        yield "tables: not those of the header"
        return
    for name, columns in fold.tables.items():
        for column, spec in columns.items():
            in_header = header.tables[name].columns.get(column)
            if in_header is None or in_header.type != spec.type:
                yield f"tables.{name}.{column}: no such {spec.type} in the header"
            elif spec.type == "category" and not spec.values:
                yield f"tables.{name}.{column}: a category without values"
    for name, fields in fold.tasks.items():
        if problem := find_task_problem(header, name, fields):
            yield f"tasks.{name}: {problem}"


def find_task_problem(header: Header, name: str, fields: Mapping[str, Any]) -> str:
    """Say how the fields of a planned task differ from the header; empty where they agree."""
    spec = header.tasks.get(name)
    if spec is None:
        return "no such task in the header"
    voxel = isinstance(spec, of.VoxelSpec)
    if (fields.get("kind"), fields.get("level")) != (spec.kind, "voxel" if voxel else spec.level):
        return "another kind or level than in the header"
    names = list_answer_words(spec)
    if (field := CLASS_NAME_FIELDS.get(find_answer_form(spec.kind))) and list(fields.get(field, [])) != names:
        return f"other {field} than in the header"
    if isinstance(spec, of.MaskSpec) and bool(fields.get("exclusive")) != spec.exclusive:
        return "`exclusive` differs from the header"
    if isinstance(spec, of.PooledSpec) and list_conditions(fields) != list_conditions(vars(spec)):
        return "`applies_when` differs from the header"
    bins = list(fields.get("bins", []))
    if any(b <= a for a, b in pairwise(bins)):
        return "bins: expected increasing edges"
    return ""


def list_conditions(fields: Mapping[str, Any]) -> dict[str, list[str]]:
    """List when a task applies, see `TaskSpec`; models of earlier versions say nothing, and all their tasks apply."""
    return {task: list(words) for task, words in fields.get("applies_when", {}).items()}


def find_member_problem(plan: Plan, header: Header, entry: Any, first: Any) -> str:
    """Say what is wrong with one entry of `members`; empty where nothing is.

    Args:
        first: the first entry, whose tasks all members must have.
    """
    if not isinstance(entry, Mapping):
        return "expected a mapping"
    fold, seed, networks, tasks = (entry.get(k) for k in ("fold", "seed", "networks", "tasks"))
    # Not isinstance: JSON's true is an int to Python, and would be taken for fold 1.
    if type(fold) is not int or fold not in plan.folds or type(seed) is not int:
        return "expected `fold`, one of the plan's, and `seed`, whole numbers"
    if not isinstance(networks, list) or not all(
        isinstance(n, list) and n and all(isinstance(t, str) for t in n) for n in networks
    ):
        return "expected `networks`, lists of tasks"
    names = [t for n in networks for t in n]
    if (
        not names
        or len(set(names)) < len(names)
        or not isinstance(tasks, Mapping)
        or set(tasks) != set(names)
    ):
        return "expected each task in one network, and its fields in `tasks`"
    if not set(names) <= set(plan.folds[fold].tasks):
        return "a task that the plan's fold does not have"
    if sorted(names) != sorted(t for n in first["networks"] for t in n):
        return "other tasks than the first member's"
    for name, fields in tasks.items():
        if not isinstance(fields, Mapping):
            return f"tasks.{name}: expected a mapping"
        try:
            parsed = parse_task_fields(fields, f"tasks.{name}")
        except PolytaskError as error:
            return str(error)
        if problem := find_task_problem(header, name, parsed):
            return f"tasks.{name}: {problem}"
    return ""
