"""Sets values of a plan by their dotted path (`--set training.epochs=4`), checked as if the file had been edited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from polytask.documents.document_errors import DocumentError
from polytask.documents.yaml_reader import parse_yaml
from polytask.errors import PolytaskError, suggest_word
from polytask.kinds import find_constant
from polytask.plan.old_names import translate_old_path, warn_of_old_name
from polytask.plan.plan_schema import Plan
from polytask.plan.rules.topology import pad_to_strides
from polytask.plan.rules.view_sizes import compute_covering_size

UNSETTABLE_KEYS = ("polytask", "cohort", "digest", "seed")
TASK_KEYED_SECTIONS = (
    ["shared", "training", "require_every"],
    ["shared", "training", "weights"],
    ["shared", "model", "after"],
    ["shared", "model", "link"],
)
"""Sections whose keys are task names: here a key may be set that the section does not have yet."""
SettingPath = list[str]


def set_value(plan: Plan, text: str) -> Plan:
    """Return a plan with one value changed, e.g. `training.epochs=4` or `folds.0.tasks.os.loss=hazard`.

    The word `shared` may be left out; `folds.*` means every fold. Values that depend on the changed one are updated:
    the size of a whole view with its spacing, the `constant` of a task with its other fields.

    Raises:
        PolytaskError: the name is unknown (the message has the nearest known one), the value has the wrong type, or the
            network cannot take the size.
    """
    return set_values(plan, [text])


def set_values(plan: Plan, texts: Sequence[str]) -> Plan:
    """Set several values at once. Only the result is checked, so that a field and its patch can be set together."""
    content: dict[str, Any] = _convert_tuples(plan.model_dump(mode="python"))
    done: list[SettingPath] = []
    for text in texts:
        name, sign, word = text.partition("=")
        if not sign or not name.strip():
            raise PolytaskError(f"--set {text}: expected name=value, e.g. training.epochs=4")
        for path in _expand_setting_paths(content, name.strip(), text):
            _set_at_path(content, path, _parse_setting_value(word, text), text)
            done.append(path)
    _update_dependent_values(content, done)
    return Plan.parse(content, f"--set {' '.join(texts)}" if texts else "plan")


def _convert_tuples(value: Any) -> Any:
    """Replace tuples by lists at any depth, so that single entries can be changed."""
    if isinstance(value, dict):
        return {key: _convert_tuples(inner) for key, inner in value.items()}
    return [_convert_tuples(inner) for inner in value] if isinstance(value, list | tuple) else value


def _expand_setting_paths(content: dict[str, Any], name: str, text: str) -> Iterator[SettingPath]:
    words = name.split(".")
    if words[0] in UNSETTABLE_KEYS or "why" in words:
        raise PolytaskError(f"--set {text}: {name} is written by `polytask plan` and cannot be set")
    if words[0] not in ("shared", "folds"):
        words = ["shared", *words]
    path = translate_old_path(".".join(words))
    if path != ".".join(words):
        warn_of_old_name(name, path.removeprefix("shared."), "--set")
    words = path.split(".")
    if words[:2] == ["shared", "warnings"] or (words[0] == "folds" and words[2:3] == ["untrained"]):
        raise PolytaskError(f"--set {text}: {name} is written by `polytask plan` and cannot be set")
    if words[:2] == ["folds", "*"]:
        for number, fold in content["folds"].items():
            # A fold that holds out a site may train without a task; the others are set.
            if words[2:3] != ["tasks"] or not set(words[3:4]) & set(fold["untrained"]):
                yield ["folds", str(number), *words[2:]]
    else:
        yield words


def _parse_setting_value(word: str, text: str) -> Any:
    try:
        return parse_yaml(word, "--set")
    except DocumentError as error:
        raise PolytaskError(
            f"--set {text}: {word!r} cannot be read ({error.problem}); write a number, a word or [a, list]"
        ) from None


def _set_at_path(content: dict[str, Any], words: SettingPath, value: Any, text: str) -> None:
    """Change the value at a dotted path of the plan's content, and write "set by hand" as its reason."""
    node: Any = content
    keys: list[Any] = []
    left = list(words)
    while left:
        key, used = _match_setting_key(node, left, keys, content, text)
        keys.append(key)
        left = left[used:]
        if left:
            node = node[key]
            if not isinstance(node, dict | list):
                raise PolytaskError(
                    f"--set {text}: {'.'.join(map(str, keys))} is a single value; end the name there"
                )
    last = keys[-1]
    before = node.get(last) if isinstance(node, dict) else node[last]
    if isinstance(before, dict) and before and value is not None and not isinstance(value, dict):
        inner = ", ".join(map(str, list(before)[:8]))
        raise PolytaskError(
            f"--set {text}: {'.'.join(map(str, keys))} is a section; name a value in it, e.g. {inner}"
        )
    # In Python True is the number 1: without this check `epochs=true` would mean one epoch.
    if isinstance(value, bool) and isinstance(before, int | float) and not isinstance(before, bool):
        raise PolytaskError(f"--set {text}: expected a number such as {before!r}, not {value}")
    node[last] = value
    root, depth = (content["shared"], 1) if keys[0] == "shared" else (content["folds"][keys[1]], 2)
    root["why"][".".join(map(str, keys[depth:]))] = f"set by hand (was {_format_old_value(before)})"
    # A reason such as "no task is rare" stands on the section itself and is wrong once the section has an entry.
    for section in TASK_KEYED_SECTIONS:
        if keys[: len(section)] == section and len(keys) > len(section):
            root["why"].pop(".".join(section[1:]), None)


def _match_setting_key(
    node: Any, left: SettingPath, keys: list[Any], content: dict[str, Any], text: str
) -> tuple[Any, int]:
    """Match the next words of a path with a key of a node; return the key and the number of words it used."""
    if isinstance(node, list):
        if left[0].isdigit() and int(left[0]) < len(node):
            return int(left[0]), 1
        here = ".".join(map(str, keys))
        raise PolytaskError(f"--set {text}: {left[0]!r} is not an index; {here} has {len(node)} entries")
    names = {str(key): key for key in node if key != "why"}
    # The name of a column may contain dots, so the longest match is tried first.
    for count in range(len(left), 0, -1):
        word = ".".join(left[:count])
        if word in names:
            return names[word], count
    if keys in TASK_KEYED_SECTIONS:
        tasks = {name for fold in content["folds"].values() for name in fold["tasks"]}
        if left[0] in tasks:
            return left[0], 1
        names = dict.fromkeys(sorted(tasks))
    where = ".".join(map(str, keys)) or "the plan"
    inner = [f"{k}.{left[0]}" for k, v in node.items() if k != "why" and isinstance(v, dict) and left[0] in v]
    if inner:
        raise PolytaskError(
            f"--set {text}: {left[0]!r} is not in {where}; did you mean {' or '.join(inner)}?"
        )
    raise PolytaskError(f"--set {text}: {left[0]!r} is not in {where}; {suggest_word(left[0], list(names))}")


def _format_old_value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_format_old_value, value))}]"
    return "null" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _update_dependent_values(content: dict[str, Any], done: Sequence[SettingPath]) -> None:
    """Update the values that depend on the values just set, unless the user set them as well."""
    for path in done:
        match path:
            case ["shared", "images", name, "spacing"]:
                image = content["shared"]["images"][name]
                own = {tuple(p) for p in done}
                if image["field"] == "whole" and ("shared", "images", name, "view_spacing") not in own:
                    _update_whole_view(
                        image, content["shared"]["why"], name, ("shared", "images", name, "view") in own
                    )
            case ["shared", "training", "weights", *_]:
                balance = content["shared"]["training"]["balance"]
                if balance["rule"] == "equal":
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
