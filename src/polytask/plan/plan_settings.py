"""Sets values of a plan by their dotted path (`--set training.epochs=4`), checked as if the file had been edited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from polytask.kinds import find_constant
from polytask.plan.plan_schema import Plan
from polytask.plan.rules.topology import pad_to_strides
from polytask.plan.rules.view_sizes import compute_covering_size
from polytask.plan.setting_paths import (
    HAND_SET_WORDS,
    TASK_KEYED_SECTIONS,
    PlanSetting,
    change_content,
    convert_to_content,
    explain_setting,
    parse_settings,
)


def set_value(plan: Plan, text: str) -> Plan:
    """Return a plan with one value changed, e.g. `training.epochs=4` or `folds.0.tasks.os.loss=hazard`.

    The word `shared` may be left out; `folds.*` means every fold. Values that depend on the changed one are updated:
    the size of a whole view with its spacing, the `constant` of a task with its other fields. Nothing else is planned
    again, because that takes the fingerprint: `polytask plan --set` does it.

    Raises:
        PolytaskError: the name is unknown (the message has the nearest known one), the value has the wrong type, or the
            network cannot take the size.
    """
    return set_values(plan, [text])


def set_values(plan: Plan, texts: Sequence[str]) -> Plan:
    """Set several values at once. Only the result is checked, so that a field and its patch can be set together."""
    settings = parse_settings(texts, {number: fold.untrained for number, fold in plan.folds.items()})
    return _change_plan(plan, settings, settings, settings, " when the other values were planned")


def set_remaining_values(
    plan: Plan, settings: Sequence[PlanSetting], used: Sequence[PlanSetting], effective: Sequence[PlanSetting]
) -> Plan:
    """Set the values that no rule has asked for while this plan was made, and check the whole plan.

    Args:
        settings: all values set by hand. used: those that a rule has asked for.
        effective: those of the shared part that the rules would have decided otherwise.
    """
    changes = [setting for setting in settings if setting not in used]
    return _change_plan(
        plan, settings, changes, [s for s in changes if s in effective or s.section != "shared"]
    )


def _change_plan(
    plan: Plan,
    settings: Sequence[PlanSetting],
    changes: Sequence[PlanSetting],
    effective: Sequence[PlanSetting],
    when: str = "",
) -> Plan:
    """Make changes to a plan that has, or gets, all of these settings; only the effective ones have dependents.

    `when` ends the reason of a change: when the value before it was planned.
    """
    content: dict[str, Any] = convert_to_content(plan)
    tasks = {name for fold in plan.folds.values() for name in fold.tasks}
    for setting in changes:
        keys, before = change_content(content, setting.words, setting, tasks)
        root, depth = (content["shared"], 1) if keys[0] == "shared" else (content["folds"][keys[1]], 2)
        path = ".".join(map(str, keys[depth:]))
        if setting not in effective:
            reason = root["why"].get(path)
            root["why"][path] = f"{HAND_SET_WORDS}, as planned" + (f": {reason}" if reason else "")
            continue
        root["why"][path] = explain_setting(before, when)
        # A reason such as "no task is rare" stands on the section itself and is wrong once the section has an entry.
        for section in TASK_KEYED_SECTIONS:
            if keys[: len(section)] == section and len(keys) > len(section):
                root["why"].pop(".".join(section[1:]), None)
    _update_dependent_values(content, effective, [list(setting.words) for setting in settings])
    texts = dict.fromkeys(setting.text for setting in settings)
    return Plan.parse(content, f"--set {' '.join(texts)}" if texts else "plan")


def _update_dependent_values(
    content: dict[str, Any], changes: Sequence[PlanSetting], done: Sequence[list[str]]
) -> None:
    """Update the values that depend on the values just set, unless they are set as well (`done`)."""
    for change in changes:
        path = list(change.words)
        match path:
            case ["shared", "images", name, "spacing"]:
                image = content["shared"]["images"][name]
                own = {tuple(p) for p in done}
                if image["field"] == "whole" and ("shared", "images", name, "view_spacing") not in own:
                    _update_whole_view(
                        image, content["shared"]["why"], name, ("shared", "images", name, "view") in own
                    )
            case ["shared", "images", name, "strides" | "widths", *_]:
                # The name of a topology is that of planned strides and widths.
                if ["shared", "images", name, "topology"] not in done:
                    content["shared"]["images"][name]["topology"] = None
                    content["shared"]["why"][f"images.{name}.topology"] = f"follows {path[3]}, set by hand"
            case ["shared", "training", "weights", *_]:
                balance = content["shared"]["training"]["balance"]
                chosen = ["shared", "training", "balance", "rule"] in done
                if content["shared"]["training"]["weights"] and balance["rule"] == "equal" and not chosen:
                    balance["rule"] = "fixed"
                    content["shared"]["why"]["training.balance.rule"] = (
                        "follows weights, which were set by hand"
                    )
            case ["shared", "training", "balance", "rule"] if ["shared", "training", "weights"] not in [
                p[:3] for p in done
            ]:
                if content["shared"]["training"]["balance"]["rule"] != "fixed":
                    content["shared"]["training"]["weights"] = {}
            case ["folds", number, "tasks", name, field] if field != "constant":
                fold = content["folds"][int(number)]
                constant = find_constant(fold["tasks"][name])
                if constant is not None and [*path[:-1], "constant"] not in done:
                    fold["tasks"][name]["constant"] = constant
                    fold["why"][f"tasks.{name}.constant"] = f"follows {field}, which was set by hand"


def _update_whole_view(image: dict[str, Any], why: dict[str, str], name: str, kept: bool) -> None:
    """Update a whole view to another spacing, so that it still covers the same length in mm.

    With `kept` the size of the view was set by hand, and only its spacing follows.
    """
    before, after = image["view_spacing"], image["spacing"]
    image["view_spacing"] = after
    why[f"images.{name}.view_spacing"] = "follows spacing, which was set by hand"
    try:
        if kept:
            return
        total = [1] * len(before)
        for stride in image["strides"]:
            total = [t * s for t, s in zip(total, stride, strict=True)]
        image["view"] = pad_to_strides(
            compute_covering_size(image["view"], before, [float(s) for s in after]), total
        )
        why[f"images.{name}.view"] = (
            "follows spacing, which was set by hand, so that it covers the same length"
        )
    except (TypeError, ValueError, ZeroDivisionError):
        # The spacing is no list of numbers above 0. The check of the whole plan refuses it with a better message.
        return
