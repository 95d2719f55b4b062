"""Reads settings (`training.epochs=4`) and changes the values that they name in the content of a plan."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from polytask.documents.document_errors import DocumentError
from polytask.documents.yaml_reader import parse_yaml
from polytask.errors import PolytaskError, suggest_word
from polytask.kinds import list_kinds_with_field
from polytask.plan.old_names import translate_old_path, warn_of_old_name

UNSETTABLE_KEYS = ("polytask", "cohort", "digest", "seed")
HAND_SET_WORDS = "set by hand"
"""How the reason of a value begins that was set by hand."""
TASK_KEYED_SECTIONS = (
    ["shared", "training", "require_every"],
    ["shared", "training", "weights"],
    ["shared", "model", "after"],
    ["shared", "model", "link"],
)
"""Sections whose keys are task names: here a key may be set that the section does not have yet."""


@dataclass(frozen=True)
class PlanSetting:
    """One value set by hand.

    Args:
        words: the path, from `shared` or `folds` on, divided at its dots. The name of a column may contain dots.
        value: the value as YAML reads it; its type is not checked yet.
        text: what the user wrote, for messages.
    """

    words: tuple[str, ...]
    value: Any
    text: str

    @property
    def section(self) -> str:
        """The part of the plan that the path lies in: `shared`, or `folds.0` and so on."""
        return ".".join(self.words[: self._depth])

    @property
    def path(self) -> str:
        """The dotted path below the part of the plan."""
        return ".".join(self.words[self._depth :])

    @property
    def _depth(self) -> int:
        return 1 if self.words[0] == "shared" else 2


def parse_settings(texts: Iterable[str], folds: Mapping[int, Collection[str]]) -> list[PlanSetting]:
    """Parse settings; `folds.*` becomes one setting for each fold.

    Args:
        texts: `name=value`.
        folds: number of a fold → the tasks that nobody in its train part has; `folds.*.tasks` leaves them out there.

    Raises:
        PolytaskError: a text is not name=value, or the name is one that only `polytask plan` may write.
    """
    settings = []
    for text in texts:
        name, sign, word = text.partition("=")
        if not sign or not name.strip():
            raise PolytaskError(f"--set {text}: expected name=value, e.g. training.epochs=4")
        for words in _expand_path(name.strip(), text, folds):
            settings.append(PlanSetting(tuple(words), _parse_setting_value(word, text), text))
    return settings


def _expand_path(name: str, text: str, folds: Mapping[int, Collection[str]]) -> Iterator[list[str]]:
    words = name.split(".")
    if words[0] in UNSETTABLE_KEYS or "why" in words:
        raise PolytaskError(f"--set {text}: {name} is written by `polytask plan` and cannot be set")
    if words[0] not in ("shared", "folds"):
        words = ["shared", *words]
    path = translate_old_path(".".join(words))
    if path != ".".join(words):
        warn_of_old_name(name, path.removeprefix("shared."), "--set")
    words = path.split(".")
    if words[:2] == ["shared", "images"] and words[3:4] == ["dims"]:
        raise PolytaskError(f"--set {text}: {name} is what the header says; change `dims` in cohort.yaml")
    if words[:2] == ["shared", "warnings"] or (words[0] == "folds" and words[2:3] == ["untrained"]):
        raise PolytaskError(f"--set {text}: {name} is written by `polytask plan` and cannot be set")
    if words[:2] == ["folds", "*"]:
        for number, untrained in folds.items():
            # A fold that holds out a site may train without a task; the others are set.
            if words[2:3] != ["tasks"] or not set(words[3:4]) & set(untrained):
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


def convert_to_content(value: Any) -> Any:
    """Replace sections by dicts and tuples by lists at any depth, so that single entries can be changed."""
    if isinstance(value, BaseModel):
        return convert_to_content(value.model_dump(mode="python"))
    if isinstance(value, dict):
        return {key: convert_to_content(inner) for key, inner in value.items()}
    return [convert_to_content(inner) for inner in value] if isinstance(value, list | tuple) else value


def change_content(
    content: Any, words: Sequence[str], setting: PlanSetting, tasks: Iterable[str] = ()
) -> tuple[list[Any], Any]:
    """Change one value in the content of a plan; return (the keys that lead to it, the value before).

    Args:
        content: nested dicts and lists, changed in place.
        words: the path in it, divided at its dots.
        setting: what is set, for its value and for messages.
        tasks: names of the tasks, which are new keys in some sections.
    """
    node, left = content, list(words)
    keys: list[Any] = []
    while left:
        key, used = _match_key(node, left, keys, setting.text, tasks)
        keys.append(key)
        left = left[used:]
        if left:
            node = node[key]
            if not isinstance(node, dict | list):
                raise PolytaskError(
                    f"--set {setting.text}: {'.'.join(map(str, keys))} is a single value; end the name there"
                )
    last = keys[-1]
    before = node.get(last) if isinstance(node, dict) else node[last]
    whole_section = setting.value is None or isinstance(setting.value, dict)
    if isinstance(before, dict) and before and not whole_section:
        inner = ", ".join(map(str, list(before)[:8]))
        raise PolytaskError(
            f"--set {setting.text}: {'.'.join(map(str, keys))} is a section; name a value in it, e.g. {inner}"
        )
    # In Python True is the number 1: without this check `epochs=true` would mean one epoch.
    if isinstance(setting.value, bool) and isinstance(before, int | float) and not isinstance(before, bool):
        raise PolytaskError(
            f"--set {setting.text}: expected a number such as {before!r}, not {setting.value}"
        )
    node[last] = setting.value
    return keys, before


def _match_key(
    node: Any, left: Sequence[str], keys: Sequence[Any], text: str, tasks: Iterable[str]
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
    if list(keys) in TASK_KEYED_SECTIONS:
        names = {task: task for task in sorted(tasks)}
        if left[0] in names:
            return left[0], 1
    where = ".".join(map(str, keys)) or "the plan"
    inner = [f"{k}.{left[0]}" for k, v in node.items() if k != "why" and isinstance(v, dict) and left[0] in v]
    if inner:
        raise PolytaskError(
            f"--set {text}: {left[0]!r} is not in {where}; did you mean {' or '.join(inner)}?"
        )
    if list(keys[0:1]) == ["folds"] and len(keys) == 4 and (kinds := list_kinds_with_field(left[0])):
        raise PolytaskError(
            f"--set {text}: {left[0]!r} is not in {where}, whose kind is {node.get('kind')}; {', '.join(kinds)} have it"
        )
    raise PolytaskError(f"--set {text}: {left[0]!r} is not in {where}; {suggest_word(left[0], list(names))}")


def explain_setting(before: Any, when: str = "") -> str:
    """Write the reason of a value that was set by hand: what it was before, and when that was."""
    return f"{HAND_SET_WORDS} (was {_format_value(before)}{when})"


def _format_value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_format_value, value))}]"
    return "null" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
