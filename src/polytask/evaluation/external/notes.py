"""Writes what a reader of an external evaluation has to know, in sentences; the most important ones come first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from polytask.cohort.cohort import Cohort
from polytask.evaluation.external.gaps import Gap
from polytask.evaluation.external.model import JudgedModel
from polytask.evaluation.external.recognize import Recognized

MOST = 12
"""Most names that are listed one by one."""
OF = {
    "tasks": "tasks",
    "inputs": "inputs",
    "columns": "table columns",
    "visits": "visits",
    "channels": "channels of {place}",
    "classes": "classes of {place}",
    "labels": "structures or labels of {place}",
    "values": "values of {place}",
}


def notes_of(
    external: Mapping[str, Any],
    gaps: Sequence[Gap],
    model: JudgedModel,
    known: Recognized,
    drafted: Path | None,
    cohort: Cohort,
) -> list[str]:
    """Write the sentences: first the drops, then who was left out, then what stayed unknown."""
    place = str(external["cohort"])
    found = [str(d["sentence"]) for d in external["drop"]]
    if model.why_not:
        found.append(f"No drop from held-out: {model.why_not}.")
    missing = [s for s in ("inputs", "channels", "columns") if s in external["lacking"]]
    if missing and external["drop"] and not model.why_not:
        found.append(
            f"At held-out the model had {' and '.join(missing)} that {place} lacks: the drop is of both together."
        )
    found += _people(external, model, known, cohort)
    found += [line for gap in gaps for line in _gap(gap, place)]
    if drafted is not None:
        found.append(
            f"Words differ: a draft of a mapping lies in {drafted.name}. Nothing in it was used: correct it, and run "
            "again with --mapping and another -o."
        )
    return found


def _people(
    external: Mapping[str, Any], model: JudgedModel, known: Recognized, cohort: Cohort
) -> Iterator[str]:
    by = "table cells are" if model.seen is not None and model.seen.by == "cells" else "images are"
    if known.trained:
        yield f"Left out, for their {by} in the training: {few(known.trained)}."
    if known.held_out:
        yield (
            f"Judged, though their {by} in the held-out part too: {few(known.held_out)}; the drop compares them with "
            "themselves."
        )
    if known.alike:
        yield (
            f"Judged, though somebody in the training has the same table cells: {few(known.alike)}; cells as coarse as "
            "these are shared by strangers too."
        )
    if external["same_id"]:
        again = few(external["same_id"])
        what = (
            "their images differ"
            if model.seen is not None
            else "whether they are the same people is not known"
        )
        yield f"Warning: ids that occur in the training too: {again}. They stay, for {what}."
    if model.seen is None:
        yield f"Whether subjects were in the training was not checked: {model.unseen}."
    elif model.seen.by == "cells" and not model.seen.trained:
        yield (
            "Whether subjects were in the training was not checked: the model reads tables whose cells are too coarse "
            "to tell people apart."
        )
    elif known.unchecked:
        yield f"Without anything to recognize them by, so not checked against the training: {few(known.unchecked)}."
    if unreadable := external["left_out"]["cannot be read"]:
        yield (
            "Left out, for the model cannot do without it: "
            + few([f"{s} ({w})" for s, w in unreadable.items()])
            + "."
        )
    if rows := external["left_out"]["rows at unknown visits"]:
        yield f"Left out: {rows} rows at visits the model does not know."
    if test := sum(cases[0].test for cases in cohort.subjects.values()):
        yield f"{test} of the subjects are the test part of their own cohort."


def _gap(gap: Gap, place: str) -> Iterator[str]:
    if gap.section == "units":
        yield (
            f"{gap.place} is unknown: {place} gives it in {gap.theirs[0]}, the model in {gap.ours[0]}; say the factor "
            "under `units`."
        )
    elif gap.section in ("kinds", "modalities", "images"):
        yield f"{gap.place} is unknown: {gap.theirs[0]} at {place}, {gap.ours[0]} in the model."
    else:
        of = OF[gap.section].format(place=gap.place)
        if gap.theirs and gap.section in ("classes", "values", "visits"):
            yield f"Unknown, for the model has no such words: {of} {few(gap.theirs)}."
        elif gap.theirs and gap.ours:
            yield f"Not used, for no word of the model was mapped to them: {of} {few(gap.theirs)}."
        if gap.ours:
            yield f"{place} lacks {of} {few(gap.ours)}."


def few(words: Sequence[str]) -> str:
    """List up to a dozen names, and say how many more there are."""
    more = f" and {len(words) - MOST} more" if len(words) > MOST else ""
    return ", ".join(words[:MOST]) + more
