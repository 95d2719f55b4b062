"""Matches what the model answers with what another cohort knows: tasks, classes, structures, units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from polytask.cohort.header import (
    Header,
    MaskSpec,
    Task,
    VoxelSpec,
)
from polytask.errors import suggest_word
from polytask.evaluation.external.word_gaps import WordGap, WordPairs, pair_words, split_gap_by_kind
from polytask.evaluation.external.word_map import WordMap
from polytask.kinds import find_answer_form
from polytask.kinds.class_words import list_answer_words
from polytask.kinds.header_words import is_same_word

SINGLE_CLASS_FORMS = ("class", "grade")
"""Forms of answers whose truth is one word of a list: a task of one form can be judged by cells of the other."""


FORMS_WITH_UNIT = ("time", "number", "field")
"""Forms of answers that have a unit."""


@dataclass(frozen=True)
class MatchedTask:
    """The counterpart of one task of the model in another cohort.

    Args:
        theirs: name of the task in the other cohort.
        words: their class or label → the model's.
        structures: the model's structure → their structures that make it up.
        factor: factor from their unit (of time, value or dose) to the model's.
    """

    theirs: str
    words: Mapping[str, str] = field(default_factory=dict)
    structures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    factor: float = 1.0


def match_tasks(
    header: Header, model_tasks: Iterable[str], theirs: Header, images: Mapping[str, str], word_map: WordMap
) -> tuple[dict[str, MatchedTask], list[WordGap]]:
    """Match the tasks of the model by name, or as the mapping file says.

    Args:
        header: header of the model. model_tasks: its tasks. theirs: header of the other cohort.
        images: the model's image input → theirs.

    Returns:
        (the model's task → its counterpart, where the two mean the same; gaps for everything without a counterpart).
    """
    mine = {n: t for n, t in header.tasks.items() if n in set(model_tasks)}
    _ensure_mapped_places(mine, header, word_map)
    pairs = pair_words("tasks", "", list(theirs.tasks), list(mine), word_map, word_map.tasks)
    matched: dict[str, MatchedTask] = {}
    gaps = split_gap_by_kind(
        pairs.gap,
        lambda name: _name_kind_group(theirs.tasks[name]),
        lambda name: _name_kind_group(mine[name]),
    )
    for their, our in pairs.known.items():
        other, spec = theirs.tasks[their], mine[our]
        if _name_kind_group(other) != _name_kind_group(spec):
            gaps.append(WordGap("kinds", our, (other.kind,), (spec.kind,)))
            continue
        if isinstance(spec, VoxelSpec) and isinstance(other, VoxelSpec):
            # A mask is only right on the grid of its own image.
            image = images.get(spec.image)
            if other.image != image:
                gaps.append(WordGap("images", our, (other.image,), (spec.image,)))
                continue
        factor, unit_gap = _match_unit_factor(our, other, spec, word_map)
        words, word_gap = _match_answer_words(our, other, spec, word_map)
        gaps += [g for g in (unit_gap, word_gap) if g]
        # Without a common unit or any common word no truth can be read: the task is left out whole.
        if factor is None or (_has_words(spec) and not words):
            continue
        structures = _list_structure_parts(words, spec) if isinstance(spec, MaskSpec) else {}
        matched[our] = MatchedTask(their, words, structures, factor)
    return matched, gaps


def _name_kind_group(spec: Task) -> str:
    return SINGLE_CLASS_FORMS[0] if find_answer_form(spec.kind) in SINGLE_CLASS_FORMS else spec.kind


def _ensure_mapped_places(mine: Mapping[str, Task], header: Header, word_map: WordMap) -> None:
    """Refuse a mapping file whose places are no tasks (for units also columns) of the model, or of the wrong kind."""
    columns = [c for table in header.tables.values() for c, s in table.columns.items() if s.type == "number"]
    measured = [n for n, t in mine.items() if find_answer_form(t.kind) in FORMS_WITH_UNIT]
    allowed = {
        "classes": [n for n, t in mine.items() if find_answer_form(t.kind) in SINGLE_CLASS_FORMS],
        "labels": [n for n, t in mine.items() if find_answer_form(t.kind) in ("masks", "labels")],
        "units": [*measured, *columns],
    }
    for section, names in allowed.items():
        for name in getattr(word_map, section):
            if name not in names:
                what = "task or column with a unit" if section == "units" else f"task with {section}"
                raise word_map.fail(
                    section, f"{name!r} is no {what} of the model; {suggest_word(name, names)}"
                )


def _has_words(spec: Task) -> bool:
    return bool(list_answer_words(spec))


def _match_answer_words(
    name: str, other: Task, spec: Task, word_map: WordMap
) -> tuple[dict[str, str], WordGap | None]:
    if not _has_words(spec):
        return {}, None
    section = "classes" if find_answer_form(spec.kind) in SINGLE_CLASS_FORMS else "labels"
    given = getattr(word_map, section).get(name)
    pairs: WordPairs = pair_words(
        section,
        name,
        list_answer_words(other),
        list_answer_words(spec),
        word_map,
        given,
        is_same=is_same_word,
        many=True,
    )
    return dict(pairs.known), pairs.gap


def _list_structure_parts(words: Mapping[str, str], spec: MaskSpec) -> dict[str, tuple[str, ...]]:
    return {name: tuple(t for t, o in words.items() if o == name) for name in spec.names}


def _match_unit_factor(
    name: str, other: Task, spec: Task, word_map: WordMap
) -> tuple[float | None, WordGap | None]:
    """Match units: a factor of 1 for the same unit, else that of the mapping file, else None and a gap."""
    if find_answer_form(spec.kind) not in FORMS_WITH_UNIT:
        return 1.0, None
    if name in word_map.units:
        return word_map.units[name], None
    theirs, ours = str(getattr(other, "unit", "")), str(getattr(spec, "unit", ""))
    if theirs.strip() == ours.strip():
        return 1.0, None
    return None, WordGap("units", name, (theirs or "(no unit)",), (ours or "(no unit)",))
