"""The plan of one run: the plan of the work folder with what was requested for this run.

Also finds the cohort that the plan belongs to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from polytask.cohort.header_file import HEADER_FILE, read_header
from polytask.errors import PolytaskError, suggest_word
from polytask.kinds import find_answer_form
from polytask.kinds.spread import SPREAD_FIELD, tells_spread
from polytask.model.sharing_names import LIGHT_NAMES, find_block_and_form
from polytask.plan.old_names import restore_old_fold_keys, restore_old_shared_keys
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_values
from polytask.plan.presets import apply_preset
from polytask.plan.validate import list_planned_tasks
from polytask.registries import load_registry
from polytask.training.cohort_folder import find_cohort_folder
from polytask.training.replanned_values import (
    has_same_arrays,
    list_sizing_overrides,
    plan_overrides_again,
    write_plan_command,
)
from polytask.training.run_request import RunRequest

OPTION_PATHS = {
    **{key: f"model.{key}" for key in ("sharing", "visit_fusion", "input_fusion")},
    "balance": "training.balance.rule",
    "cut": "training.balance.cut",
}
"""Field of `RunRequest` → the value of the plan that it sets."""

LATER_KEYS = frozenset(
    {
        *("encoder", "flip_2d", "groups", "kernels", "padding", "passes", "resize", "roi"),
        *("second_level", "second_network", "trunk", "visit_levels"),
    }
)
"""Values of images, augmentation and model that earlier versions did not have; None keeps the behavior of those
versions."""


def plan_hash(plan: Plan, fold: int) -> str:
    """Hash everything in a plan that decides the weights of a fold.

    Left out are the reasons, the warnings, the number of data workers, whether affinities are measured, the unit that
    lengths are written in, the name of a topology (its strides and widths are hashed), and values that earlier versions
    did not have, where they are empty and decide nothing.
    """
    images = {"__all__": {"unit", "topology"}}
    left_out: Any = {
        "why": True,
        "warnings": True,
        "training": {"workers": True, "balance": {"affinity"}},
        "images": images,
    }
    shared = plan.shared.model_dump(mode="json", exclude=left_out)
    for section in (shared["model"], shared["augmentation"], *shared["images"].values()):
        for key in LATER_KEYS & section.keys():
            if section[key] is None:
                del section[key]
        if (section.get("roi") or {}).get("below", 0) is None:
            del section["roi"]["below"]
        if (section.get("roi") or {}).get("stages") == "deepest":
            del section["roi"]["stages"]
        if (section.get("roi") or {}).get("surroundings", True) is False:
            del section["roi"]["surroundings"]
    if not shared["training"]["compile"]:
        del shared["training"]["compile"]
    fold_values = plan.folds[fold].model_dump(mode="json", exclude={"why", "untrained"})
    if not fold_values["finding_sizes"]:
        del fold_values["finding_sizes"]
    for fields in fold_values["tasks"].values():
        form = find_answer_form(fields["kind"])
        if form == "masks":
            fields.pop("unit", None)
            if not fields.get("cldice"):
                fields.pop("cldice", None)
                fields.pop("thin", None)  # decides a metric, and with a weight the loss
        # Earlier versions drew no class on purpose, and balanced classes but no grades.
        if not fields.get("drawn_shares"):
            fields.pop("drawn_shares", None)
        if form == "grade" and not fields.get("balanced"):
            fields.pop("balanced", None)
        for key in ("landmarks", "applies_when"):
            if not fields.get(key):
                fields.pop(key, None)
        if not tells_spread(fields):
            fields.pop(SPREAD_FIELD, None)
    # Under the former names, so that runs and bundles of earlier versions keep their hash.
    hashed = [restore_old_shared_keys(shared), restore_old_fold_keys(fold_values)]
    return hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()


def choose_fold_tasks(plan: Plan, fold: int, asked: Sequence[str] | None) -> list[str]:
    """Choose the tasks that a run of a fold trains: those that were asked for (default: all) and that it can train.

    Raises:
        PolytaskError: the plan has no task of that name, or the fold can train none of them.
    """
    planned, known = list_planned_tasks(plan), plan.folds[fold].tasks
    if unknown := [task for task in asked or () if task not in planned]:
        raise PolytaskError(f"task {unknown[0]!r} is not in the plan; it has {', '.join(planned)}")
    chosen = [task for task in known if asked is None or task in asked]
    if not chosen and plan.folds[fold].untrained:
        task, reason = next(
            (t, why) for t, why in plan.folds[fold].untrained.items() if not asked or t in asked
        )
        raise PolytaskError(
            f"fold {fold} cannot train {task!r}: {reason}; choose another fold or other tasks"
        )
    return chosen


def make_run_plan(work: Path, request: RunRequest, sized: Plan | None = None) -> Plan:
    """Return the plan of the work folder with the changes that a request makes for its run.

    A preset comes first, then single options override parts of it, then single values override both. `--sharing`
    chooses a block in the form that its name stands for; `--set model.sharing` changes that one value only. What
    depends on a value that decides sizes is planned again.

    Args:
        sized: the plan with the sizes of this run, where they were already planned again.

    Raises:
        PolytaskError: a value cannot be set, or the prepared arrays would have to be others.
    """
    planned = Plan.read(work)
    plan, overrides = plan_overrides_again(work, planned, request)
    plan = plan if sized is None else sized
    tasks, header = request.tasks, read_header(find_cohort_folder(work, planned) / HEADER_FILE)
    if request.preset:
        chosen = {n: t for n, t in header.tasks.items() if tasks is None or n in tasks}
        plan = apply_preset(plan, request.preset, header.model_copy(update={"tasks": chosen}))
    sharing, form = find_block_and_form(request.sharing or plan.shared.model.sharing)
    values = {path: getattr(request, key) for key, path in OPTION_PATHS.items()}
    if request.sharing:
        # A name says which form it means. Where the plan has that form already, no reason needs to change.
        changed = form != plan.shared.model.form
        values |= {OPTION_PATHS["sharing"]: sharing, **({"model.form": form} if changed else {})}
    changes = [f"{path}={value}" for path, value in values.items() if value]
    changes += [f"model.after.{task}=[{', '.join(others)}]" for task, others in (request.after or {}).items()]
    plan = set_values(plan, [*changes, *overrides])
    model, rule = plan.shared.model, plan.shared.training.balance.rule
    for key, member in (
        ("sharing", model.sharing),
        ("visit_fusion", model.visit_fusion),
        ("input_fusion", model.input_fusion),
        ("balance", rule),
    ):
        require_member(key, member)
    if model.sharing == "single" and rule not in ("equal", "fixed"):
        raise PolytaskError(
            f"--balance {rule} does not apply to single: each of its networks has one task's loss"
        )
    if request.overrides and not has_same_arrays(header, plan, planned):
        raise PolytaskError(
            f"--set {' '.join(request.overrides)}: the prepared arrays are made for other values; plan and prepare for "
            f"it: {write_plan_command(work, planned, list_sizing_overrides(planned, request.overrides))}"
        )
    return plan


def require_member(registry_name: str, member: str, where: str = "") -> None:
    """Refuse a name that a registry does not have. `where` begins the message, by default with the option's name.

    Raises:
        PolytaskError: with the nearest right name.
    """
    names = list(load_registry(registry_name))
    if member in names:
        return
    if registry_name == "sharing":
        block, form = find_block_and_form(member)
        if block in names:
            raise PolytaskError(
                f"{member} is a name for --sharing; in a plan it is two values: model.sharing={block} and "
                f"model.form={form}"
            )
        names += LIGHT_NAMES.values()
    where = where or f"--{registry_name.replace('_', '-')} "
    raise PolytaskError(f"{where}{member}: {suggest_word(member, names)}")
