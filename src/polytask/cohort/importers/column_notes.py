"""Decisions about columns as lines for people: all of them when they are few, else the first and a count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

MOST = 20
"""Lines about columns that are shown at most."""
_ORDER = ("task", "proposal", "left out", "input")
"""What is shown first when there are too many."""
_PLURAL = {"task": "tasks", "proposal": "to be looked at", "input": "inputs"}


@dataclass(frozen=True)
class ColumnNote:
    """One decision.

    Args:
        became: task, proposal, left out, input.
        why: the reason or the type in a few words; equal ones are counted together.
        line: for people.
        columns: how many columns it is about.
    """

    became: str
    why: str
    line: str
    columns: int = 1


def shorten_column_notes(notes: Sequence[ColumnNote]) -> list[str]:
    """At most 20 lines; when there are more, tasks come first and the last line counts the rest."""
    if len(notes) <= MOST:
        return [note.line for note in notes]
    ordered = sorted(notes, key=lambda note: _ORDER.index(note.became))
    rest = ordered[MOST - 1 :]
    counts: Counter[str] = Counter()
    for note in rest:
        counts[f"{_PLURAL.get(note.became, note.became)} ({_without_details(note.why)})"] += note.columns
    total = sum(counts.values())
    parts = [f"{n} {what}" for what, n in counts.most_common(6)]
    if len(counts) > 6:
        parts.append(f"{sum(n for _, n in counts.most_common()[6:])} others")
    return [*(note.line for note in ordered[: MOST - 1]), f"and {total} more columns: {', '.join(parts)}"]


def _without_details(why: str) -> str:
    """The kind of a reason, without the words and numbers of one column."""
    return why.partition(" ")[0].rstrip(",:") if why.startswith(("category", "number")) else why
