"""Writes sentences about what a reader of an external evaluation has to know; the most important ones come first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from polytask.cohort.cohort import Cohort
from polytask.evaluation.external.judged_model import JudgedModel
from polytask.evaluation.external.training_overlap import TrainingOverlap
from polytask.evaluation.external.word_gaps import WordGap

MAX_LISTED_WORDS = 12
"""Most names that are listed one by one."""
SECTION_LABELS = {
    "tasks": "tasks",
    "inputs": "inputs",
    "columns": "table columns",
    "visits": "visits",
    "channels": "channels of {place}",
    "classes": "classes of {place}",
    "labels": "structures or labels of {place}",
    "values": "values of {place}",
}


def write_reader_notes(
    external: Mapping[str, Any],
    gaps: Sequence[WordGap],
    model: JudgedModel,
    overlap: TrainingOverlap,
    draft_path: Path | None,
    cohort: Cohort,
) -> list[str]:
    """Write the sentences: first the drops, then who was left out, then what stayed unknown."""
    place = str(external["cohort"])
    notes = [str(d["sentence"]) for d in external["drop"]]
    if model.why_not:
        notes.append(f"No drop from held-out: {model.why_not}.")
    missing = [s for s in ("inputs", "channels", "columns") if s in external["lacking"]]
    if missing and external["drop"] and not model.why_not:
        notes.append(
            f"At held-out the model had {' and '.join(missing)} that {place} lacks: the drop includes the "
            "effect of missing them."
        )
    notes += _describe_subjects(external, model, overlap, cohort)
    notes += [line for gap in gaps for line in _describe_gap(gap, place)]
    if draft_path is not None:
        notes.append(
            f"Words differ: a draft of a mapping lies in {draft_path.name}. It was not used: correct it, and run again "
            "with --mapping and another -o."
        )
    return notes


def _describe_subjects(
    external: Mapping[str, Any], model: JudgedModel, overlap: TrainingOverlap, cohort: Cohort
) -> Iterator[str]:
    by = "table cells are" if model.seen is not None and model.seen.by == "cells" else "images are"
    if overlap.trained:
        yield f"Left out, because their {by} in the training: {list_few_words(overlap.trained)}."
    if overlap.held_out:
        yield (
            f"Judged, although their {by} in the held-out part too: {list_few_words(overlap.held_out)}; both sides of "
            "the drop contain these subjects."
        )
    if overlap.ambiguous_subjects:
        yield (
            "Judged, although somebody in the training has the same table cells: "
            f"{list_few_words(overlap.ambiguous_subjects)}; the columns have so few values that different people often "
            "have the same cells."
        )
    if external["same_id"]:
        again = list_few_words(external["same_id"])
        what = (
            "their images differ"
            if model.seen is not None
            else "it is not known whether they are the same people"
        )
        yield f"Warning: ids that occur in the training too: {again}. They are judged, because {what}."
    if model.seen is None:
        yield f"Whether subjects were in the training was not checked: {model.unseen}."
    elif model.seen.by == "cells" and not model.seen.trained:
        yield (
            "Whether subjects were in the training was not checked: the model reads tables whose cells are too coarse "
            "to tell people apart."
        )
    elif overlap.unchecked:
        yield (
            "Not checked against the training, because there is nothing to recognize them by: "
            f"{list_few_words(overlap.unchecked)}."
        )
    if unreadable := external["left_out"]["cannot be read"]:
        yield (
            "Left out, because an input that the model needs is missing: "
            + list_few_words([f"{s} ({w})" for s, w in unreadable.items()])
            + "."
        )
    if rows := external["left_out"]["rows at unknown visits"]:
        yield f"Left out: {rows} rows at visits the model does not know."
    if test := sum(cases[0].test for cases in cohort.subjects.values()):
        yield f"{test} of the subjects are the test part of their own cohort."


def _describe_gap(gap: WordGap, place: str) -> Iterator[str]:
    if gap.section == "units":
        yield (
            f"{gap.place} is unknown: {place} gives it in {gap.theirs[0]}, the model in {gap.ours[0]}; write the "
            "factor under `units` in the mapping file."
        )
    elif gap.section in ("kinds", "modalities", "images"):
        yield f"{gap.place} is unknown: {gap.theirs[0]} at {place}, {gap.ours[0]} in the model."
    else:
        of = SECTION_LABELS[gap.section].format(place=gap.place)
        if gap.theirs and gap.section in ("classes", "values", "visits"):
            yield f"Unknown, because the model has no such words: {of} {list_few_words(gap.theirs)}."
        elif gap.theirs and gap.ours:
            yield f"Not used, because they were not mapped to a word of the model: {of} {list_few_words(gap.theirs)}."
        if gap.ours:
            yield f"{place} lacks {of} {list_few_words(gap.ours)}."


def list_few_words(words: Sequence[str]) -> str:
    """List up to a dozen names, and say how many more there are."""
    more = f" and {len(words) - MAX_LISTED_WORDS} more" if len(words) > MAX_LISTED_WORDS else ""
    return ", ".join(words[:MAX_LISTED_WORDS]) + more
