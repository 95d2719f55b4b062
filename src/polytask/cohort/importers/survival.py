"""Survival in a foreign table: which columns are time and event, and what their words say."""

from __future__ import annotations

import re

from polytask.cohort.header import Survival
from polytask.cohort.importers.draft import examples
from polytask.cohort.importers.found import Found, add
from polytask.cohort.importers.kinds import words_of
from polytask.cohort.importers.sheet import Sheet
from polytask.cohort.importers.words import clean, event_words, time_unit
from polytask.cohort.words import number
from polytask.errors import PolytaskError

_TIME = re.compile(r"^(?P<name>.*?)[ _.]?(time|months|days|years|weeks|duration)$", re.I)
_EVENT = ("event", "status", "censored", "censoring", "cens", "dead", "death", "died")
_LONE = (
    "time",
    "duration",
    "survivaltime",
    "survival_time",
    "survival_months",
    "survival_days",
    "followup",
    "follow_up",
)


def survival_pairs(sheet: Sheet, found: Found) -> None:
    """Time and event columns that belong together by their names."""
    free = [c for c in sheet.columns if c not in found.used]
    lower = {c.lower(): c for c in free}
    pairs: dict[str, tuple[str, str]] = {}
    for column in free:
        match = _TIME.match(column)
        stem = match["name"] if match else ""
        ends = [f"{stem}{sep}{end}".lower() for end in _EVENT for sep in ("_", ".", " ", "")] if stem else []
        event = next((lower[e] for e in ends if e in lower), None)
        if event is not None:
            pairs.setdefault(clean(stem), (column, event))
    if not pairs:
        times = [lower[t] for t in _LONE if t in lower]
        events = [lower[e] for e in _EVENT if e in lower]
        if len(times) == 1 and events:
            pairs["survival"] = (times[0], events[0])
    for name, pair in pairs.items():
        known = [c for c in sheet.cells(pair[0]) if c]
        if known and all((number(c) or 0) >= 0 and number(c) is not None for c in known):
            words = words_of(sheet.cells(pair[1]))
            if words and event_words(pair[1], words):
                add_survival(sheet, name, pair, found, "")


def add_survival(sheet: Sheet, name: str, pair: tuple[str, str], found: Found, level: str) -> None:
    """A survival task from its two columns; words of the event become 1 and 0.

    Raises:
        PolytaskError: the words do not say whether the event was observed.
    """
    time, event = pair
    words = words_of(sheet.cells(event))
    mapped = event_words(event, words)
    if mapped is None:
        raise PolytaskError(
            f"{sheet.path}, column {event}: {examples(map(repr, words))} do not say whether the event was "
            "observed; expected 1 and 0, dead and alive, yes and no; rewrite the column"
        )
    bits, how = mapped
    times, events = sheet.cells(time), [bits.get(c, "") for c in sheet.cells(event)]
    half = sum(1 for t, e in zip(times, events, strict=True) if bool(t) != bool(e))
    found.cells[f"{name}_time"] = [t if e else "" for t, e in zip(times, events, strict=True)]
    found.cells[f"{name}_event"] = [e if t else "" for t, e in zip(times, events, strict=True)]
    unit, visits = time_unit(time), sheet.visits or []
    first = {"origin": visits[0], "visits": visits[:1]} if len(visits) > 1 else {}
    task = Survival.model_validate({"kind": "survival", "level": level or "subject", "unit": unit, **first})
    since = f", counted from visit {visits[0]!r}" if first else ""
    lost = f"; {half} rows with only one of the two are unknown" if half else ""
    add(found, name, task, pair, f"survival, time {time!r} in {unit}, event {event!r}: {how}{since}{lost}")
