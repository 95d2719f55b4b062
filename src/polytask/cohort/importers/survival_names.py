"""Recognize survival columns by their names: which are times, which are events, and which belong together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_TIME_NAME = re.compile(
    r"^(?P<stem>.*?)[ _.(]*(time|months?|days?|years?|weeks?|duration|mos?|mths?|yrs?|wks?)[)]?$", re.I
)
_TIME_FIRST_NAME = re.compile(r"^(time|days|months|weeks|years)[ _.]?(to|until)?[ _.]?(?P<stem>.+)$", re.I)
_EVENT_NAME = re.compile(
    r"^(?P<stem>.*?)[ _.]?(event|status|censored|censoring|censor|cens|dead|death|died|deceased|indicator|ind|observed)"
    r"[ _.]?(01|observed|event|indicator|status|ind)?$",
    re.I,
)
_OUTCOME_ABBREVIATIONS = {"os", "pfs", "dfs", "rfs", "efs", "mfs", "dmfs", "lrfs", "dss", "css", "ttp", "ttr"}
"""Outcomes whose name alone may be a column: `rfs` as the time beside `rfs_ind`, `OS` as the event beside `OS.time`."""
_FOLLOW_UP_STEMS = _OUTCOME_ABBREVIATIONS | {
    *(
        "",
        "d",
        "survival",
        "surv",
        "overallsurvival",
        "progressionfreesurvival",
        "diseasefreesurvival",
        "event",
    ),
    *(
        "recurrencefreesurvival",
        "followup",
        "follow",
        "fu",
        "lastfollowup",
        "relapse",
        "recurrence",
        "progression",
    ),
    *("death", "metastasis"),
}
"""Stems of time columns that can only mean a follow-up time."""
_GENERAL_STEMS = {"", "d", "survival", "surv", "followup", "follow", "fu", "lastfollowup", "event"}
"""Stems that do not say which outcome is meant: the task is then called `survival`."""
_PLAIN_EVENT_NAMES = ("event", "eventobserved", "status", "vitalstatus", "survivalstatus", "survstatus", "e", "dead",
                 "death", "died", "deceased", "deadstatusevent", "deadstatus", "deathevent", "death01", "dead01",
                 "osevent", "osstatus", "censored", "censoring", "censor", "cens")  # fmt: skip
"""Event columns that may go with any single time column, the clearest names first."""


@dataclass
class SurvivalPairs:
    """Survival pairs found by name, and columns that look like one half of a pair.

    Args:
        pairs: name of the task → (time column, event column).
        doubles: name of the task → other columns that say the same; they must not become inputs.
        times, events: columns whose other half is not clear.
    """

    pairs: dict[str, tuple[str, str]] = field(default_factory=dict)
    doubles: dict[str, list[str]] = field(default_factory=dict)
    times: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)


def pair_survival_columns(numbers: Sequence[str], bits: Sequence[str]) -> SurvivalPairs:
    """Pair time and event columns: by equal stems, else the only time with the clearest event.

    Args:
        numbers: columns whose cells can be times.
        bits: columns whose cells can say whether an event was observed; a column of 0 and 1 is in both lists.
    """
    times = _find_time_columns(numbers, bits)
    events = _find_event_columns([c for c in bits if c not in times], times)
    survival_pairs = SurvivalPairs()
    for time, stem in times.items():
        core = _simplify_stem(stem)
        fitting = [event for event, own in events.items() if own == core]
        if not core or not fitting:
            continue
        name = next((n for n in survival_pairs.pairs if _simplify_stem(n) == core), None)
        if name is None:
            survival_pairs.pairs[stem] = (time, fitting[0])
            survival_pairs.doubles[stem] = fitting[1:]
        else:
            survival_pairs.doubles[name].append(time)
    used = {c for pair in survival_pairs.pairs.values() for c in pair} | {
        c for cs in survival_pairs.doubles.values() for c in cs
    }
    survival_pairs.times = [
        t for t, stem in times.items() if t not in used and _simplify_stem(stem) in _FOLLOW_UP_STEMS
    ]
    lone = [e for e in events if e not in used and _simplify_stem(e) in _PLAIN_EVENT_NAMES]
    survival_pairs.events = sorted(lone, key=lambda e: _PLAIN_EVENT_NAMES.index(_simplify_stem(e)))
    # Only with a single time left: with two, any pairing would be a guess, and a wrong one goes unnoticed.
    if len(survival_pairs.times) == 1 and survival_pairs.events:
        stem = times[survival_pairs.times[0]]
        name = "survival" if _simplify_stem(stem) in _GENERAL_STEMS else stem
        if name not in survival_pairs.pairs:
            survival_pairs.pairs[name] = (survival_pairs.times[0], survival_pairs.events[0])
            survival_pairs.doubles[name] = survival_pairs.events[1:]
            survival_pairs.times, survival_pairs.events = [], []
    return survival_pairs


def _find_time_columns(numbers: Sequence[str], bits: Sequence[str]) -> dict[str, str]:
    """Map each column that is named like a time to the stem of its name."""
    stems: dict[str, str] = {}
    for column in numbers:
        if match := _TIME_NAME.match(column) or _TIME_FIRST_NAME.match(column):
            inner = _TIME_FIRST_NAME.match(match["stem"])  # "Time to Death (days)"
            stems[column] = inner["stem"] if inner else match["stem"]
        elif _simplify_stem(column) in _OUTCOME_ABBREVIATIONS and column not in bits:
            stems[column] = column
        elif column.lower() == "t" and any(b.lower() == "e" for b in bits):
            stems[column] = ""
    return stems


def _find_event_columns(bits: Sequence[str], times: dict[str, str]) -> dict[str, str]:
    """Map each column that is named like an event to the simplified stem of its name."""
    stems: dict[str, str] = {}
    cores = {_simplify_stem(stem) for stem in times.values()}
    for column in bits:
        if match := _EVENT_NAME.match(column):
            stems[column] = _simplify_stem(match["stem"])
        elif _simplify_stem(column) in _OUTCOME_ABBREVIATIONS & cores:
            stems[column] = _simplify_stem(column)
        elif column.lower() == "e" and any(t.lower() == "t" for t in times):
            stems[column] = ""
    return stems


def _simplify_stem(stem: str) -> str:
    """Reduce a stem to lower-case letters and digits, so that `OS_` and `o.s` are equal."""
    return re.sub(r"[^a-z0-9]", "", stem.lower())
