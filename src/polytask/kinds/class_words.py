"""Tasks whose answers are words of a list: the classes, labels or grades of the header, and how cells name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import yaml
from pydantic import Field, ValidationInfo, field_validator, model_validator

from polytask.kinds.cell_readers import find_word_index
from polytask.kinds.class_balance import decide_class_balance
from polytask.kinds.header_words import HeaderText, find_repeated_words, is_same_word
from polytask.kinds.kind import Arrays, CellParser, MissingInTrain, PlanFields, TrainNeed
from polytask.kinds.plan_reasons import PlanReasons, round_number
from polytask.kinds.task_spec import MaskSpec, PooledSpec, TaskSpec, make_header_error
from polytask.kinds.titles import check_titles


class WordSpec(PooledSpec):
    """A task whose answers are words of a list; `titles` says how pages write them."""

    titles: dict[HeaderText, HeaderText] = Field(default={})

    @model_validator(mode="after")
    def _check_words(self) -> WordSpec:
        if twice := find_repeated_words(list_answers(self)):
            raise make_header_error(
                "{word!r} is named twice (as text or as a number): name it once", word=twice[0]
            )
        words = dict.fromkeys([*list_answers(self), *list_replaced_words(self)])
        check_titles(self.titles, list(words), "class or label")
        return self


class ClassSpec(WordSpec):
    """A task whose cell is one of several classes. `merge` names words that are read as another class (`T5: T4`),
    `unknown` words that are read as an empty cell; a class named in either of them is no longer a class."""

    merge: dict[HeaderText, HeaderText] = Field(default={})
    unknown: list[HeaderText] = Field(default=[])

    @field_validator("classes", "order", mode="after", check_fields=False)
    @classmethod
    def _leave_out(cls, words: list[str], info: ValidationInfo) -> list[str]:
        """Drop the classes that `merge` or `unknown` names; at least two must remain."""
        # pydantic validates fields in the order of the class: `merge` and `unknown` stand before `classes` and `order`.
        replaced = [*info.data.get("merge", {}), *info.data.get("unknown", [])]
        remaining = [word for word in words if not any(is_same_word(word, other) for other in replaced)]
        if len(remaining) < 2:
            raise make_header_error(
                "`merge` and `unknown` leave {n} class{s}: keep two or more, or remove the task",
                n=len(remaining),
                s="" if len(remaining) == 1 else "es",
            )
        return remaining

    @model_validator(mode="after")
    def _check_merge(self) -> ClassSpec:
        for word, target in self.merge.items():
            if not any(is_same_word(target, known) for known in list_answers(self)):
                raise make_header_error(
                    "merge reads {word!r} as {target!r}, which is not a remaining class: use one of {known}",
                    word=word,
                    target=target,
                    known=", ".join(list_answers(self)),
                )
        if twice := find_repeated_words(list_replaced_words(self)):
            raise make_header_error(
                "{word!r} occurs twice in `merge` and `unknown`: name it once", word=twice[0]
            )
        return self


def list_answers(task: Any) -> list[str]:
    """List the answer words of a classification, ordinal or multilabel task in order; none for other kinds."""
    for field in ("classes", "order", "labels"):
        if isinstance(task, WordSpec) and hasattr(task, field):
            return list(getattr(task, field))
    return []


def list_answer_words(task: TaskSpec) -> list[str]:
    """List the classes, labels or structures of a task in order; none for a task whose answers are numbers."""
    return task.names if isinstance(task, MaskSpec) else list_answers(task)


def list_replaced_words(task: Any) -> list[str]:
    """List the words that a classification or ordinal task reads as another class or as unknown."""
    return [*task.merge, *task.unknown] if isinstance(task, ClassSpec) else []


def read_class(task: Any, cell: str) -> str:
    """Return the class that a cell says, after `merge`; "" if the task reads the word as unknown.

    A cell that names no class is returned unchanged.
    """
    if not isinstance(task, ClassSpec):
        return cell
    if any(is_same_word(cell, word) for word in task.unknown):
        return ""
    return next((target for word, target in task.merge.items() if is_same_word(cell, word)), cell)


def parse_class(cell: str, task: Any) -> int | None:
    """Find the index of the class that a cell says; None if the task reads the word as unknown."""
    read = read_class(task, cell)
    return find_word_index(read, list_answers(task)) if read else None


def make_class_parser(task: Any) -> CellParser:
    """Make the function that reads cells with one class."""
    return partial(parse_class, task=task)


def list_class_needs(task: ClassSpec, name: str, stem: str, only_neighbor: bool) -> list[TrainNeed]:
    """List what a fold's train part needs: a subject of every class. The remedy names a class to merge a rare one with.

    `only_neighbor` is for ordered classes: a grade may only be merged with the grade next to it.
    """
    needs = []
    for word in list_answers(task):
        remedy = f"add more such subjects, or {suggest_merge(task, name, word, only_neighbor)}"
        needs.append(TrainNeed(word, stem, f"class {word!r}", remedy))
    return needs


def suggest_merge(task: ClassSpec, name: str, word: str, only_neighbor: bool) -> str:
    """Say what to write into the header so that a rare class is no longer a class of its own."""
    classes = list_answers(task)
    if len(classes) < 3:
        return f"remove the task {name!r}: only one class would remain"
    # The words go through a YAML writer, because names such as "no" or "1.0" need quotes in the header.
    place = classes.index(word)
    other = classes[place - 1] if place else classes[1]
    merge = yaml.safe_dump({word: other}, default_flow_style=True, width=1000).strip()
    unknown = yaml.safe_dump([word], default_flow_style=True, width=1000).strip()
    which = "" if only_neighbor else " (or another class)"
    return f"write `merge: {merge}`{which} or `unknown: {unknown}` in task {name!r} of cohort.yaml"


def list_class_strata(task: ClassSpec, answers: Mapping[str, Sequence[int]]) -> dict[str, set[str]]:
    """List the strata of subjects: subject → the classes of its answers, and "" because an answer is known."""
    words = list_answers(task)
    return {subject: {"", *(words[value] for value in values)} for subject, values in answers.items()}


def make_class_arrays(values: Sequence[int | None]) -> Arrays:
    """Return (class indices `[N]`, known `[N]`); the index is 0 where the answer is unknown."""
    known = np.array([v is not None for v in values], bool)
    return np.array([0 if v is None else v for v in values], np.int64), known


def decide_class_fields(values: Sequence[int], classes: Sequence[str], why: PlanReasons) -> PlanFields:
    """Decide the fields that follow from the share of each class among the known training answers.

    These are `frequencies`, with the counts as the reason, and how rare classes are balanced.
    """
    counts = np.bincount(np.array(values, int), minlength=len(classes)).tolist()
    for label, count in zip(classes, counts, strict=True):
        if count == 0:
            raise MissingInTrain(f"class {label!r} does not occur")
    words = ", ".join(f"{label} {count}" for label, count in zip(classes, counts, strict=True))
    why["frequencies"] = f"known in train: {words}"
    frequencies = why.choose_value("frequencies", [round_number(count / len(values), 5) for count in counts])
    return {"frequencies": frequencies} | decide_class_balance(frequencies, counts, classes, why)
