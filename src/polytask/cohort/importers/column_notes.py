"""Show decisions about columns to people: all of them if they are few, else the most important and a count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

MAX_COLUMN_NOTES = 20
"""Largest number of lines about columns that is shown."""
_NOTE_ORDER = ("task", "proposal", "left out", "input")
"""The order in which notes are shown when there are too many."""
_NOTE_PLURALS = {"task": "tasks", "proposal": "to be looked at", "input": "inputs"}


@dataclass(frozen=True)
class ColumnNote:
    """One decision of an importer about one or several columns.

    Args:
        became: `task`, `proposal`, `left out` or `input`.
        why: the reason or type in a few words; notes with the same reason are counted together.
        line: the text for people.
        columns: number of columns that the decision is about.
    """

    became: str
    why: str
    line: str
    columns: int = 1


def shorten_column_notes(notes: Sequence[ColumnNote]) -> list[str]:
    """Return at most 20 lines; if there are more notes, tasks come first and the last line counts the rest."""
    if len(notes) <= MAX_COLUMN_NOTES:
        return [note.line for note in notes]
    ordered = sorted(notes, key=lambda note: _NOTE_ORDER.index(note.became))
    hidden = ordered[MAX_COLUMN_NOTES - 1 :]
    counts: Counter[str] = Counter()
    for note in hidden:
        counts[f"{_NOTE_PLURALS.get(note.became, note.became)} ({_drop_details(note.why)})"] += note.columns
    total = sum(counts.values())
    parts = [f"{n} {what}" for what, n in counts.most_common(6)]
    if len(counts) > 6:
        parts.append(f"{sum(n for _, n in counts.most_common()[6:])} others")
    return [
        *(note.line for note in ordered[: MAX_COLUMN_NOTES - 1]),
        f"and {total} more columns: {', '.join(parts)}",
    ]


def _drop_details(why: str) -> str:
    """Reduce a reason to its kind, without the words and numbers of one column, so that equal kinds add up."""
    return why.partition(" ")[0].rstrip(",:") if why.startswith(("category", "number")) else why
