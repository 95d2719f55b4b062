"""Parse the options of `polytask import`, such as `--task grade=ordinal:G1,G2,G3`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from polytask.cohort.importers.foreign_words import make_clean_name
from polytask.errors import PolytaskError, suggest_word
from polytask.kinds import KINDS, find_answer_form

POOLED_KINDS = sorted(name for name, kind in KINDS.items() if kind.level == "pooled")
"""Kinds of tasks whose answers are cells of a table."""


@dataclass(frozen=True)
class StatedTask:
    """A task that a person stated on the command line.

    Args:
        words: classes or labels, for survival the columns (see `parse_stated_tasks`); empty = taken from the table.
        column: the column of the answers; "" = it is named like the task.
        level: `visit` or `subject`; "" = inferred.
    """

    name: str
    kind: str
    words: tuple[str, ...] = ()
    column: str = ""
    level: str = ""


@dataclass(frozen=True)
class FileSource:
    """A stated source of files: `NAME=COLUMN`, or a pattern with {columns} such as `images/{subject:0>3}.nii.gz`."""

    name: str
    source: str


def parse_stated_tasks(options: Sequence[str]) -> list[StatedTask]:
    """Parse the values of option `--task`: `NAME=KIND[:WORD,WORD…][@COLUMN][/LEVEL]`.

    The words of survival are columns: TIME,EVENT; or DEATH,LAST,STATUS (time of death, time of the last follow-up,
    and who is dead); or START,DEATH,LAST,STATUS, where the first three are dates.
    """
    tasks = []
    for option in options:
        match = re.fullmatch(
            r"([^=]+)=([a-z]+)(?::([^@]*?))?(?:@(.*?))?(?:/(visit|subject))?", option.strip()
        )
        if not match:
            raise PolytaskError(
                f"--task {option}: expected NAME=KIND[:WORD,WORD][@COLUMN][/LEVEL], "
                "e.g. grade=ordinal:G1,G2,G3; correct it"
            )
        name, kind, words, column, level = (part or "" for part in match.groups())
        if kind not in POOLED_KINDS:
            raise PolytaskError(f"--task {option}: unknown kind {kind!r}; {suggest_word(kind, POOLED_KINDS)}")
        listed = tuple(w.strip() for w in words.split(",") if w.strip())
        if find_answer_form(kind) == "time" and len(listed) not in (0, 2, 3, 4):
            raise PolytaskError(
                f"--task {option}: expected columns TIME,EVENT, or DEATH,LAST,STATUS, or the dates "
                "START,DEATH,LAST,STATUS; correct it"
            )
        tasks.append(StatedTask(name.strip(), kind, listed, column.strip(), level))
    return tasks


def parse_sources(flag: str, options: Sequence[str]) -> list[FileSource]:
    """Parse options of the form `NAME=COLUMN` or `NAME=PATTERN`; `flag` is named in errors."""
    sources = []
    for option in options:
        name, equals, source = option.partition("=")
        if not (name.strip() and equals and source.strip()):
            raise PolytaskError(
                f"{flag} {option}: expected NAME=COLUMN or NAME=PATTERN with {{columns}}; correct it"
            )
        sources.append(FileSource(name.strip(), source.strip()))
    return sources


@dataclass(frozen=True)
class StackedChannels:
    """Planes of one 4-D file that become channels of an image input.

    Args:
        input: name of the image input.
        source: column or pattern of the files.
        names: name of the channel for each plane, in order.
    """

    input: str
    source: str
    names: tuple[str, ...]


def parse_contours(options: Sequence[str]) -> list[StackedChannels]:
    """Parse options `--contours INPUT=COLUMN:NAME,NAME…` or `INPUT=PATTERN:NAME,NAME…`."""
    stacks = []
    for option in options:
        name, equals, file_and_names = option.partition("=")
        # From the right: a pattern such as `{subject:0>3}` has a colon of its own.
        source, colon, names = file_and_names.rpartition(":")
        listed = tuple(make_clean_name(n) for n in names.split(",") if n.strip())
        if not (name.strip() and equals and source.strip() and colon and listed):
            raise PolytaskError(
                f"--contours {option}: expected INPUT=COLUMN:NAME,NAME (a name for each plane of the 4-D file); "
                "correct it"
            )
        stacks.append(StackedChannels(make_clean_name(name), source.strip(), listed))
    return stacks


def parse_task_words(flag: str, options: Sequence[str]) -> dict[str, str]:
    """Parse options of the form `TASK=WORD` into task → word; `flag` is named in errors."""
    word_by_task = {}
    for option in options:
        task, equals, word = option.partition("=")
        if not (task.strip() and equals and word.strip()):
            raise PolytaskError(f"{flag} {option}: expected TASK=WORD; correct it")
        word_by_task[make_clean_name(task)] = word.strip()
    return word_by_task


def parse_labels(options: Sequence[str]) -> dict[str, dict[str, int]]:
    """Parse options `--labels TASK=NAME:VALUE,NAME:VALUE` into task → name → value."""
    labels_by_task: dict[str, dict[str, int]] = {}
    for option in options:
        task, _, label_list = option.partition("=")
        pairs = [p.rpartition(":") for p in label_list.split(",") if p.strip()]
        if (
            not task
            or not pairs
            or not all(name.strip() and value.strip().isdigit() for name, _, value in pairs)
        ):
            raise PolytaskError(f"--labels {option}: expected TASK=NAME:VALUE,NAME:VALUE; correct it")
        labels_by_task[make_clean_name(task)] = {name.strip(): int(value) for name, _, value in pairs}
    return labels_by_task


def parse_lists(flag: str, options: Sequence[str]) -> dict[str, list[str]]:
    """Parse options of the form `TASK=NAME,NAME` into task → names; `flag` is named in errors."""
    names_by_task: dict[str, list[str]] = {}
    for option in options:
        task, _, name_list = option.partition("=")
        names = [n.strip() for n in name_list.split(",") if n.strip()]
        if not task or not names:
            raise PolytaskError(f"{flag} {option}: expected TASK=NAME,NAME; correct it")
        names_by_task[make_clean_name(task)] = names
    return names_by_task
