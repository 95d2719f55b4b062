"""Turns the content of a YAML file into a plan: checks types, names and sizes; an error is one line with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from polytask.errors import PolytaskError, suggest_word
from polytask.kinds import KINDS
from polytask.plan.old_names import translate_old_keys
from polytask.plan.roi_plan import list_chooser_breaches, list_roi_breaches
from polytask.plan.rules.topology import MIN_BOTTLENECK_EDGE, begins_as_planned
from polytask.plan.shared_trunk import list_trunk_breaches
from polytask.plan.slice_trunk import list_slice_breaches
from polytask.plan.validate_limits import list_limit_breaches
from polytask.plan.validate_slides import list_slide_breaches
from polytask.plan.validate_values import list_value_breaches

if TYPE_CHECKING:
    from polytask.plan.model_plan import ModelPlan
    from polytask.plan.plan_schema import ImagePlan, Plan


def parse_plan(schema: type[Plan], content: Any, where: str) -> Plan:
    """Check the content of a YAML file and turn it into a plan.

    Args:
        schema: the class `Plan`. It is an argument because its module imports this one.
        content: what the YAML reader returned.
        where: the file or the option, for the error message.

    Raises:
        PolytaskError: the first problem that was found.
    """
    if not isinstance(content, Mapping):
        raise PolytaskError(f"{where}: not a plan; expected `shared` and `folds`; run `polytask plan` again")
    try:
        plan = schema.model_validate(translate_old_keys(content, where))
        for number, fold in plan.folds.items():
            for name, fields in fold.tasks.items():
                fold.tasks[name] = parse_task_fields(fields, f"folds.{number}.tasks.{name}")
    except ValidationError as error:
        raise PolytaskError(
            f"{where}: {describe_first_error(error, schema)}; correct it or plan again"
        ) from None
    except PolytaskError as error:
        raise PolytaskError(f"{where}: {error}; correct it or plan again") from None
    for place, problem in list_plan_breaches(plan):
        raise PolytaskError(f"{where}: {place}: {problem}")
    return plan


def parse_task_fields(fields: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Check the fields of one task and give them their types; `place` is for the error message."""
    kind = str(fields.get("kind"))
    if kind not in KINDS:
        raise PolytaskError(
            f"{place}.kind: {kind!r} is not a kind of task, {suggest_word(kind, list(KINDS))}"
        )
    model = KINDS[kind].fields
    try:
        return model.model_validate(fields).model_dump()
    except ValidationError as error:
        raise PolytaskError(f"{place}.{describe_first_error(error, model)}") from None


def describe_first_error(error: ValidationError, model: type[BaseModel]) -> str:
    """Describe the first of pydantic's errors: its place, what was found, what was expected."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return (
            f"{place}: unknown name, "
            f"{suggest_word(str(first['loc'][-1]), list_section_names(model, first['loc'][:-1]))}"
        )
    if first["type"] == "missing":
        return f"{place} is missing"
    return f"{place}: {first['input']!r} is not valid, {first['msg'][0].lower()}{first['msg'][1:]}"


def list_section_names(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """List the names that a section may have, by walking through the schema along a place."""
    current: Any = model
    for part in place:
        if isinstance(current, type) and issubclass(current, BaseModel) and part in current.model_fields:
            current = current.model_fields[str(part)].annotation
            continue
        # An index or a key: of `dict[str, X]`, `list[X]` or `X | None` only X can be a section.
        inner = [a for a in get_args(current) if a not in (str, int, NoneType)]
        current = inner[-1] if inner else current
    while not (isinstance(current, type) and issubclass(current, BaseModel)):
        inner = [a for a in get_args(current) if a not in (str, int, NoneType)]
        if not inner:
            return []
        current = inner[-1]
    return list(current.model_fields)


def list_plan_breaches(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield (place, what is wrong and what to do) for every rule between values that does not hold."""
    # The caller reports only the first breach, so this order decides which message a person sees.
    yield from list_limit_breaches(plan)
    yield from ((f"shared.{path}", problem) for path, problem in list_value_breaches(plan.shared))
    for name, image in plan.shared.images.items():
        for key, problem in _list_image_breaches(image):
            yield f"shared.images.{name}.{key}", problem
    yield from ((f"shared.{path}", problem) for path, problem in list_trunk_breaches(plan.shared))
    for name, slide in plan.shared.slides.items():
        for key, problem in list_slide_breaches(slide):
            yield f"shared.slides.{name}.{key}", problem
    yield from _list_task_name_breaches(plan)
    yield from list_chooser_breaches(plan)
    for number, fold in plan.folds.items():
        for name, fields in fold.tasks.items():
            model = KINDS[fields["kind"]].fields
            for numbers, entries in model.lengths.items():
                # A list with a default may be empty: then nothing is said about the entries.
                optional = not model.model_fields[numbers].is_required()
                if len(fields[numbers]) != len(fields[entries]) and (fields[numbers] or not optional):
                    yield (
                        f"folds.{number}.tasks.{name}.{numbers}",
                        f"expected one number for each entry of {entries}",
                    )


def list_planned_tasks(plan: Plan) -> list[str]:
    """List the tasks of a plan, each once. A fold that holds out a site may train without a task of that site."""
    return list(
        dict.fromkeys(name for fold in plan.folds.values() for name in (*fold.tasks, *fold.untrained))
    )


def _list_task_name_breaches(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield breaches in sections that name tasks: a name that is no task, a task that waits for itself."""
    tasks = list_planned_tasks(plan)
    after = plan.shared.model.after
    training = plan.shared.training
    named = [("training.require_every", name) for name in training.require_every]
    named += [("training.weights", name) for name in training.weights]
    named += [("model.link", name) for name in plan.shared.model.link]
    named += [
        (f"images.{n}.roi.task", i.roi.task) for n, i in plan.shared.images.items() if i.roi and i.roi.task
    ]
    named += [("model.groups", name) for group in plan.shared.model.groups or () for name in group]
    named += [("model.after", name) for task, others in after.items() for name in (task, *others)]
    for section, name in named:
        if tasks and name not in tasks:
            yield f"shared.{section}", f"{name!r} is not a task; {suggest_word(name, tasks)}"
    for task, weight in training.weights.items():
        if not 0 <= weight < float("inf"):
            yield f"shared.training.weights.{task}", f"{weight:g} is not a weight; it must be 0 or more"
    yield from _list_group_breaches(plan.shared.model)
    balance = training.balance
    if training.weights and balance.rule != "fixed":
        yield (
            "shared.training.balance.rule",
            f"{balance.rule!r} does not use training.weights; remove them, or choose fixed",
        )
    if balance.rule == "fixed" and not training.weights:
        yield "shared.training.balance.rule", "'fixed' needs training.weights; set some, or choose equal"
    if balance.every < 1 or balance.log_every < 0:
        yield "shared.training.balance", "every must be at least 1 step, and log_every at least 0"
    for task in after:
        if circle := _find_cycle(task, after):
            yield f"shared.model.after.{task}", f"a cycle: {' → '.join(circle)}; remove one link"
    if not 0 <= plan.shared.model.source_dropout < 1:
        yield (
            "shared.model.source_dropout",
            f"{plan.shared.model.source_dropout:g} must be a share from 0 to below 1",
        )


def _list_group_breaches(model: ModelPlan) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the groups of tasks that get a network each."""
    groups = model.groups or ()
    names = [name for group in groups for name in group]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield "shared.model.groups", f"{name!r} is in two groups; each task has one network"
    if not all(groups):
        yield "shared.model.groups", "a group has no task; leave it out"
    if groups and model.sharing == "single":
        yield "shared.model.groups", "under single each task has a network of its own; choose another sharing"
    group_of = {name: place for place, group in enumerate(groups) for name in group}
    for task, upstream in model.after.items():
        for name in upstream:
            if {task, name} <= set(group_of) and group_of[task] != group_of[name]:
                yield (
                    "shared.model.groups",
                    f"{task!r} reads the answer of {name!r} (model.after); put both into one group",
                )


def _find_cycle(task: str, after: Mapping[str, list[str]]) -> list[str]:
    """Find a path from a task back to itself along `after`; empty when there is none."""
    ways = [[task]]
    while ways:
        way = ways.pop()
        for name in after.get(way[-1], []):
            if name == task:
                return [*way, task]
            if name not in way:
                ways.append([*way, name])
    return []


def _list_image_breaches(image: ImagePlan) -> Iterator[tuple[str, str]]:
    dims, stages = image.dims, len(image.widths)
    if image.resize is not None and image.unit == "mm":
        yield "resize", "only images whose unit is px are resized; set it to null"
    if stages == 0 or len(image.blocks) != stages or len(image.strides) != stages:
        counts = f"{stages}, {len(image.blocks)} and {len(image.strides)}"
        yield "widths", f"widths, blocks and strides have {counts} stages; expected the same number in each"
        return
    if image.topology and not begins_as_planned(image.widths, image.strides, image.topology):
        yield (
            "topology",
            f"{image.topology!r} does not fit widths and strides; `polytask plan --set` plans them for it, null keeps "
            "them",
        )
    yield from _list_kernel_breaches(image)
    wanted = {
        "whole": ("view", "view_spacing"),
        "patch": ("patch",),
        "both": ("view", "view_spacing", "patch"),
    }
    for key in ("view", "view_spacing", "patch"):
        needed = key in wanted[image.field]
        if needed and getattr(image, key) is None:
            yield key, f"field {image.field} needs it; expected {dims} numbers"
        if not needed and getattr(image, key) is not None:
            yield key, f"field {image.field} does not use it; set it to null, or choose another field"
    if image.padding is not None and image.field == "patch":
        yield "padding", "field patch has no whole view to pad; set it to null, or choose another field"
    if image.field == "whole" and image.view_spacing is not None and image.view_spacing != image.spacing:
        yield (
            "view_spacing",
            f"with field whole it must be the spacing of the image, {list(image.spacing)}",
        )
    total = [prod(s[a] for s in image.strides) for a in range(dims)]
    for key in ("view", "patch"):
        size = getattr(image, key)
        if size is None:
            continue
        if any(n % t for n, t in zip(size, total, strict=True)):
            fit = [max(t, round(n / t) * t) for n, t in zip(size, total, strict=True)]
            yield (
                key,
                f"{list(size)} is not divisible by the total stride {total}; use {fit}, or change strides",
            )
        elif dims == 3 and min(n // t for n, t in zip(size, total, strict=True)) < MIN_BOTTLENECK_EDGE:
            deepest = [n // t for n, t in zip(size, total, strict=True)]
            few = f"{deepest} positions at the deepest stage, fewer than {MIN_BOTTLENECK_EDGE}"
            yield (
                key,
                f"{list(size)} leaves {few}; enlarge it, or remove a stage (widths, blocks, strides)",
            )
    if image.crop.rule == "box" and not image.crop.column:
        yield "crop.column", "the rule box needs the name of a table column"
    yield from list_roi_breaches(image)
    yield from list_slice_breaches(image)


def _list_kernel_breaches(image: ImagePlan) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the kernels of the stages; the strides were found right before."""
    if image.kernels is None:
        return
    if len(image.kernels) != len(image.strides):
        yield (
            "kernels",
            f"expected {image.dims} numbers, each 1 or 3, for each of {len(image.strides)} stages; or null for 3 "
            "everywhere",
        )
        return
    for kernel, stride in zip(image.kernels, image.strides, strict=True):
        if any(k == 1 and s > 1 for k, s in zip(kernel, stride, strict=True)):
            yield (
                "kernels",
                f"a kernel of 1 skips voxels at stride {list(stride)}; use 3 along the axes that it halves",
            )
            return
