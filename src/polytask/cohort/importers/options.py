"""What a person states on the command line beside what is inferred: `--task grade=ordinal:G1,G2,G3`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from polytask.cohort.importers.words import clean
from polytask.errors import PolytaskError, nearest
from polytask.kinds import KINDS, answer_form

POOLED = sorted(name for name, kind in KINDS.items() if kind.level == "pooled")
"""Kinds whose answers stand in a table."""


@dataclass(frozen=True)
class Ask:
    """A stated task.

    Args:
        words: classes, labels, or for survival the columns (see `parse_tasks`); empty = taken from the table.
        column: where it stands, when it is not called like the task.
        level: "" = inferred.
    """

    name: str
    kind: str
    words: tuple[str, ...] = ()
    column: str = ""
    level: str = ""


@dataclass(frozen=True)
class Source:
    """A stated file: `NAME=COLUMN`, or a pattern with {columns}, e.g. `images/{subject:0>3}.nii.gz`."""

    name: str
    source: str


def parse_tasks(options: Sequence[str]) -> list[Ask]:
    """`NAME=KIND[:WORD,WORD…][@COLUMN][/LEVEL]`.

    The words of survival are columns: TIME,EVENT; or DEATH,LAST,STATUS, the times of death and of the last follow-up
    and who is dead; or START,DEATH,LAST,STATUS, where the first three are dates.
    """
    found = []
    for option in options:
        match = re.fullmatch(
            r"([^=]+)=([a-z]+)(?::([^@]*?))?(?:@(.*?))?(?:/(visit|subject))?", option.strip()
        )
        if not match:
            raise PolytaskError(
                f"--task {option}: expected NAME=KIND[:WORD,WORD][@COLUMN][/LEVEL], "
                "e.g. grade=ordinal:G1,G2,G3; mend it"
            )
        name, kind, words, column, level = (part or "" for part in match.groups())
        if kind not in POOLED:
            raise PolytaskError(f"--task {option}: unknown kind {kind!r}; {nearest(kind, POOLED)}")
        listed = tuple(w.strip() for w in words.split(",") if w.strip())
        if answer_form(kind) == "time" and len(listed) not in (0, 2, 3, 4):
            raise PolytaskError(
                f"--task {option}: expected columns TIME,EVENT, or DEATH,LAST,STATUS, or the dates "
                "START,DEATH,LAST,STATUS; mend it"
            )
        found.append(Ask(name.strip(), kind, listed, column.strip(), level))
    return found


def parse_sources(flag: str, options: Sequence[str]) -> list[Source]:
    """`NAME=COLUMN` or `NAME=PATTERN`."""
    found = []
    for option in options:
        name, equals, source = option.partition("=")
        if not (name.strip() and equals and source.strip()):
            raise PolytaskError(
                f"{flag} {option}: expected NAME=COLUMN or NAME=PATTERN with {{columns}}; mend it"
            )
        found.append(Source(name.strip(), source.strip()))
    return found


@dataclass(frozen=True)
class Planes:
    """Planes of one 4-D file that are channels of an image input.

    Args:
        input: the image input.
        source: column or pattern.
        names: channel of each plane, in order.
    """

    input: str
    source: str
    names: tuple[str, ...]


def parse_planes(options: Sequence[str]) -> list[Planes]:
    """`INPUT=COLUMN:NAME,NAME…` or `INPUT=PATTERN:NAME,NAME…`."""
    found = []
    for option in options:
        name, equals, rest = option.partition("=")
        source, colon, names = rest.rpartition(":")
        listed = tuple(clean(n) for n in names.split(",") if n.strip())
        if not (name.strip() and equals and source.strip() and colon and listed):
            raise PolytaskError(
                f"--contours {option}: expected INPUT=COLUMN:NAME,NAME (a name for each plane of the 4-D file); mend it"
            )
        found.append(Planes(clean(name), source.strip(), listed))
    return found


def parse_pairs(flag: str, options: Sequence[str]) -> dict[str, str]:
    """`TASK=WORD` → task → word."""
    found = {}
    for option in options:
        task, equals, word = option.partition("=")
        if not (task.strip() and equals and word.strip()):
            raise PolytaskError(f"{flag} {option}: expected TASK=WORD; mend it")
        found[clean(task)] = word.strip()
    return found


def parse_labels(options: Sequence[str]) -> dict[str, dict[str, int]]:
    """`TASK=NAME:VALUE,NAME:VALUE` → task → name → value."""
    found: dict[str, dict[str, int]] = {}
    for option in options:
        task, _, rest = option.partition("=")
        pairs = [p.rpartition(":") for p in rest.split(",") if p.strip()]
        if (
            not task
            or not pairs
            or not all(name.strip() and value.strip().isdigit() for name, _, value in pairs)
        ):
            raise PolytaskError(f"--labels {option}: expected TASK=NAME:VALUE,NAME:VALUE; mend it")
        found[clean(task)] = {name.strip(): int(value) for name, _, value in pairs}
    return found


def parse_lists(flag: str, options: Sequence[str]) -> dict[str, list[str]]:
    """`TASK=NAME,NAME` → task → names."""
    found: dict[str, list[str]] = {}
    for option in options:
        task, _, rest = option.partition("=")
        names = [n.strip() for n in rest.split(",") if n.strip()]
        if not task or not names:
            raise PolytaskError(f"{flag} {option}: expected TASK=NAME,NAME; mend it")
        found[clean(task)] = names
    return found
