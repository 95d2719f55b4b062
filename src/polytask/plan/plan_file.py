"""Reads and writes `plan.yaml`: laid out for human readers, with every value checked when it is read back."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from polytask.atomic_files import write_file_atomically
from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.plan.plan_schema import PLAN_FILE, Plan
from polytask.plan.plan_settings import set_value, set_values

YAML_LINE_WIDTH = 110
MAX_INLINE_LENGTH = 96
"""A mapping of single values is written in one line up to this length."""
PLAN_COMMENT = """\
# The plan: every number, decided from the data and the machine. Edit what you like, or plan with --set; unknown names
# and impossible sizes are refused with a hint. `why` has the reason of each value; its key is the path of the value.
"""
SHARED_PART_COMMENT = """
# For all folds: decided from image headers, sizes and the machine.
"""
FOLDS_PART_COMMENT = """
# For each fold: decided from intensities, table columns and answers of its training subjects only.
"""

__all__ = ["PLAN_FILE", "ensure_cohort", "set_value", "set_values", "write_plan"]


def write_plan(plan: Plan, work: Path | str) -> Path:
    """Write `WORK/plan.yaml`, completely or not at all. The path of the cohort folder is relative to `work`."""
    work = Path(work)
    with hold_back_plan(plan, work):
        return work / PLAN_FILE


@contextmanager
def hold_back_plan(plan: Plan, work: Path) -> Iterator[None]:
    """Write the plan under a temporary name; it becomes `plan.yaml` after the block, if the block does not raise."""
    with write_file_atomically(work / PLAN_FILE) as draft:
        try:
            draft.write_text(render_plan(plan, work), encoding="utf-8")
        except OSError as error:
            raise PolytaskError(
                f"{work}: cannot be written ({error.strerror}); choose another folder with -o"
            ) from None
        yield


def render_plan(plan: Plan, work: Path) -> str:
    """Return the text of `plan.yaml` as it stands in a work folder."""
    content = plan.model_dump(mode="json")
    folder = Path(plan.cohort)
    if folder.is_absolute():
        with suppress(ValueError):  # another drive
            content["cohort"] = Path(os.path.relpath(folder, work.resolve())).as_posix()
    # JSON turns the fold numbers into strings; as strings they would be written in quotes.
    shared, folds = content.pop("shared"), {int(k): fold for k, fold in content.pop("folds").items()}
    return (
        PLAN_COMMENT
        + _dump_plan_yaml(content)
        + SHARED_PART_COMMENT
        + _dump_plan_yaml({"shared": shared})
        + FOLDS_PART_COMMENT
        + _dump_plan_yaml({"folds": folds})
    )


def ensure_cohort(plan: Plan, cohort: Cohort) -> None:
    """Refuse a cohort that is not the one the plan was made from, or whose header or table has changed since then."""
    if cohort.digest != plan.digest:
        raise PolytaskError(
            f"{cohort.root}: the plan belongs to another cohort, or header or table changed since it was made "
            f"(digest {plan.digest[:8]}, now {cohort.digest[:8]}); run `polytask plan` again"
        )


def ensure_fold(plan: Plan, number: int, folder: Path) -> None:
    """Refuse a fold number that the plan in a run's folder does not contain."""
    if number not in plan.folds:
        raise PolytaskError(
            f"{folder}: the run is of fold {number}, but its {PLAN_FILE} has only {', '.join(map(str, plan.folds))}; "
            "restore run.yaml and plan.yaml, or train again"
        )


# A YAML writer that puts short mappings and lists of numbers in one line. It never writes aliases: `&id001` and
# `*id001` would puzzle a person who edits the plan. It is the writer in C where PyYAML has it, which takes a fifth of
# the time, and every run writes its plan.
_PlanDumper: Any = type(
    "_PlanDumper",
    (getattr(yaml, "CSafeDumper", yaml.SafeDumper),),
    {"ignore_aliases": lambda dumper, data: True},
)


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, list | dict)


def _is_flat_list(value: Any) -> bool:
    return isinstance(value, list) and all(
        _is_scalar(v) or (isinstance(v, list) and all(map(_is_scalar, v))) for v in value
    )


def _represent_list(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=_is_flat_list(value))


def _represent_mapping(dumper: yaml.SafeDumper, value: Mapping[Any, Any]) -> yaml.Node:
    flat = all(_is_scalar(v) or (isinstance(v, list) and all(map(_is_scalar, v))) for v in value.values())
    short = flat and sum(len(f"{k}{v}") + 4 for k, v in value.items()) <= MAX_INLINE_LENGTH
    return dumper.represent_mapping("tag:yaml.org,2002:map", value, flow_style=short)


_PlanDumper.add_representer(list, _represent_list)
_PlanDumper.add_representer(dict, _represent_mapping)


def _dump_plan_yaml(content: dict[str, Any]) -> str:
    return yaml.dump(content, Dumper=_PlanDumper, sort_keys=False, allow_unicode=True, width=YAML_LINE_WIDTH)
