"""Reads `--arm "NAME: preset=ctan, model.form=light"`: an arm with values of its own."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from polytask.errors import PolytaskError, suggest_word

ARM_KEYS = ("preset", "sharing", "balance", "groups")
"""What an arm is made of; every other key is the path of a value in the plan."""
ARM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
GROUPS_ARM = "groups"
"""`--arm groups` stands for an arm of this name with two networks."""
MAX_NAME_LENGTH = 40
STUDY_WORDS = {
    "steps": "--steps",
    "minutes": "--minutes-per-run",
    "folds": "--folds",
    "fold": "--folds",
    "seeds": "--seeds",
    "seed": "--seeds",
    "tasks": "--tasks",
    "cut": "--cut",
    "device": "--device",
    "resamples": "--resamples",
    "margin": "--margin",
    "jobs": "--jobs",
}
"""Word of the study → the option that sets it for all arms."""
FIXED_TRAINING = {
    **dict.fromkeys(("epochs", "steps_per_epoch"), "--steps"),
    **dict.fromkeys(("patience", "tune_every"), "nothing: every run gets the whole budget"),
    **dict.fromkeys(("batch", "accumulation", "precision"), "--set"),
    **dict.fromkeys(("threads", "workers"), "--jobs"),
}
"""Value of `training` that a study fixes → what sets it for all arms."""
IMAGE_NETWORK_KEYS = ("widths", "blocks", "kernels")
"""Values of an image that belong to the network and not to the data."""


@dataclass(frozen=True)
class ArmText:
    """An arm as a user wrote it.

    `groups` is the number of networks that its tasks are grouped into, 0 = one network. `values` are texts such as
    `model.form=light`, in their order.
    """

    name: str
    preset: str = ""
    sharing: str = ""
    balance: str = ""
    values: tuple[str, ...] = ()
    groups: int = 0


def read_arm_text(text: str, taken: Collection[str]) -> ArmText:
    """Read the text of an arm; whether the plan has its values is seen when the arm is planned.

    Args:
        taken: names that mean something else: those of sharing blocks and presets.

    Raises:
        PolytaskError: no name, a name that is taken, no value, an unknown key, or a value that the study fixes.
    """
    text = f"{GROUPS_ARM}: groups=2" if text.strip() == GROUPS_ARM else text
    name, colon, rest = (part.strip() for part in text.partition(":"))
    if not colon or not rest:
        raise PolytaskError(f'--arm {text}: expected "NAME: preset=ctan, model.form=light"')
    if not ARM_NAME.fullmatch(name) or len(name) > MAX_NAME_LENGTH:
        raise PolytaskError(
            f"--arm {text}: {name!r} cannot name an arm: use at most {MAX_NAME_LENGTH} letters, digits, _ . and -"
        )
    if name in taken:
        raise PolytaskError(
            f"--arm {text}: {name} is the name of a sharing block or a preset; choose another name"
        )
    own: dict[str, str] = {}
    values: list[str] = []
    for part in split_values(rest):
        key, sign, value = (word.strip() for word in part.partition("="))
        if not sign or not key or not value:
            raise PolytaskError(f"--arm {name}: {part!r}: expected key=value, e.g. preset=ctan")
        for complaint in list_arm_complaints(key):
            raise PolytaskError(f"--arm {name}: {part}: {complaint}")
        if key in own or any(v.startswith(f"{key}=") for v in values):
            raise PolytaskError(f"--arm {name}: {key} is given twice")
        if key in ARM_KEYS:
            own[key] = value
        else:
            values.append(f"{key}={value}")
    if "preset" in own and "sharing" in own:
        raise PolytaskError(f"--arm {name}: a preset brings its sharing: give preset or sharing, not both")
    if "preset" in own and "groups" in own:
        raise PolytaskError(f"--arm {name}: groups share as sharing= says: give preset or groups, not both")
    groups = own.pop("groups", "")
    if groups and not (groups.isdecimal() and len(groups) < 4 and int(groups) > 1):
        raise PolytaskError(f"--arm {name}: groups={groups}: expected a number of networks, 2 or more")
    return ArmText(name, **own, groups=int(groups or 0), values=tuple(values))


def split_values(text: str) -> Iterator[str]:
    """Split at commas that stand outside brackets."""
    depth, start = 0, 0
    for place, letter in enumerate(text):
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0:
            yield text[start:place].strip()
            start = place + 1
    yield text[start:].strip()


def list_arm_complaints(key: str) -> Iterator[str]:
    """Yield why a key cannot be a value of one arm."""
    path = key.removeprefix("shared.")
    words = path.split(".")
    if path in ARM_KEYS:
        return
    if path in STUDY_WORDS:
        yield f"a study has the same {path} for all arms; use {STUDY_WORDS[path]}"
    elif _is_of_the_data(words):
        yield "all arms of a study read the same prepared data; plan and prepare another work folder for it"
    elif len(words) == 1:
        yield suggest_word(path, [*ARM_KEYS, "model", "training", "augmentation"])
    elif path == "model.groups":
        yield "a study finds the groups itself; write groups=2 for two networks"
    elif path in ("model.preset", "model.sharing", "training.balance.rule"):
        short = {"rule": "balance"}.get(words[-1], words[-1])
        yield f"write it as {short}=…"
    elif path == "training.balance.cut":
        yield "a study fixes it for all arms; use --cut"
    elif words[0] == "training" and words[1] in FIXED_TRAINING:
        yield f"a study fixes it for all arms; use {FIXED_TRAINING[words[1]]}"


def _is_of_the_data(words: Sequence[str]) -> bool:
    """Whether a path names geometry or content of what is prepared."""
    if words[0] == "images":
        return words[2:3] != [] and words[2] not in IMAGE_NETWORK_KEYS
    if words[0] == "folds":
        return words[2:3] != ["tasks"]
    return words[0] in ("slides", "max_visits")
