"""Turn time and event columns of a foreign table into survival tasks; words of the event become 1 and 0."""

from __future__ import annotations

from collections.abc import Sequence

from polytask.cohort.header import SurvivalSpec
from polytask.cohort.importers.draft import examples
from polytask.cohort.importers.found import Found, add
from polytask.cohort.importers.losses import MOST, Loss
from polytask.cohort.importers.sheet import Sheet
from polytask.cohort.importers.survival_names import pair_columns
from polytask.cohort.importers.two_times import TwoTimes, find_two_times, is_date_pair, read_two_times
from polytask.cohort.importers.words import clean, event_words, time_unit
from polytask.errors import PolytaskError
from polytask.kinds.cells import EVENT

OS = "os"
"""Name of the task of survival until death from any cause."""
OVERALL = {OS, "overall_survival", "overallsurvival", "survival"}


def survival_pairs(sheet: Sheet, found: Found) -> None:
    """Add a survival task for every pair of time and event columns that is found by name.

    Columns that look like survival but cannot be paired are left out, with a note on how to state them: a regression
    of censored times, or an event without its time, would be a wrong question.
    """
    _add_death_or_follow_up(sheet, found)
    free = [c for c in sheet.columns if c not in found.used]
    times = [c for c in free if _is_time(sheet, c)]
    paired = pair_columns(times, [c for c in free if _is_event(sheet, c)])
    for name, pair in paired.pairs.items():
        add_survival(sheet, clean(name), pair, found, "")
    for name, columns in paired.doubles.items():
        free_of = [c for c in columns if c not in found.used]
        if free_of:
            found.leave_out(free_of, f"the same follow-up as task {clean(name)!r}, or what it tells")
    unclear = [c for c in (*paired.times, *paired.events) if c not in found.used]
    if paired.times and paired.events:
        found.leave_out(
            unclear,
            "times and events of survival, but which belong together? "
            f"say --task NAME=survival:{paired.times[0]},{paired.events[0]}",
        )


def add_survival(sheet: Sheet, name: str, pair: tuple[str, str], found: Found, level: str) -> None:
    """Add a survival task from a time column and an event column.

    Raises:
        PolytaskError: the words do not say whether the event was observed, or an empty cell seems to mean censored.
    """
    time, event = pair
    times, events = sheet.parse(time), sheet.parse(event)
    mapped = event_words(event, events.words)
    if mapped is None:
        raise PolytaskError(
            f"{sheet.path}, column {event}: {examples(map(repr, events.words))} do not say whether the event was "
            "observed; expected 1 and 0, dead and alive, yes and no; rewrite the column"
        )
    bits, how = mapped
    loss = Loss(name, f"a time that is a number from 0 on, and {EVENT}")
    found.losses.append(loss)
    kept_times, kept_events, half = [], [], 0
    for row, cell, value, text in zip(sheet.rows, times.cells, times.numbers, events.texts, strict=True):
        good = value is not None and value >= 0 and text in bits
        kept_times.append(cell if good else "")
        kept_events.append(bits[text] if good else "")
        half += bool(cell) != bool(text)
        if cell and text:
            loss.count_cell(row["subject"], f"{time} {cell!r}, {event} {text!r}", lost=not good)
    known = sum(1 for bit in kept_events if bit)
    # Many tables fill the event only for those who had it. Read as unknown, only events would be left, and a model
    # trained on them would learn far too short survival: better to ask.
    if half > MOST * (half + known) and "0" not in kept_events and name not in found.accepted:
        raise PolytaskError(
            f"{sheet.path}: {half} rows have only one of {time!r} and {event!r}, and no row that has both is censored; "
            f"does empty mean censored? write 0 and the time there, or say --accept-loss {name} if it is unknown"
        )
    found.cells[f"{name}_time"], found.cells[f"{name}_event"] = kept_times, kept_events
    unit = found.units.get(name) or time_unit(time)
    lost = f"; {half} rows with only one of the two are unknown" if half else ""
    assumed = f"in {unit}" if unit else f"in days (assumed; --unit {name}=months says otherwise)"
    line = f"survival, time {time!r} {assumed}, event {event!r}: {how}"
    _add_task(sheet, name, unit, pair, found, level, line, lost)


def add_death_or_follow_up(sheet: Sheet, name: str, two: TwoTimes, found: Found, level: str) -> None:
    """Add a survival task whose time is that of death for the dead, else that of the last follow-up."""
    times, events, named, line = read_two_times(sheet, name, two, found)
    found.cells[f"{name}_time"], found.cells[f"{name}_event"] = times, events
    unit = found.units.get(name) or named
    assumed = "" if unit else f"; in days (assumed; --unit {name}=months says otherwise)"
    _add_task(sheet, name, unit, two.columns, found, level, line, assumed)


def _add_death_or_follow_up(sheet: Sheet, found: Found) -> None:
    """Look for a time of death beside one of the last follow-up, as TCGA has them, and add the task or a note."""
    two = find_two_times(sheet, [c for c in sheet.columns if c not in found.used])
    if two is None:
        return
    names = [c for c in sheet.columns if c not in {*found.used, *two.columns}]
    times = [c for c in names if _is_time(sheet, c)]
    whole = pair_columns(times, [c for c in names if _is_event(sheet, c)]).pairs
    own = next((name for name in whole if clean(name).lower() in OVERALL), "")
    if own:
        found.leave_out(two.columns, f"the same follow-up as task {clean(own)!r}")
    elif is_date_pair(sheet, two) and not two.start:
        same = [c for c in names if time_unit(c) and _is_time(sheet, c) and "death" in c.lower()]
        asked = f"--task '{OS}=survival:START,{','.join(two.columns)}'"
        found.leave_out(
            [*two.columns, *same],
            f"dates of survival, but counted from which? say {asked} with the column of it",
        )
    else:
        add_death_or_follow_up(sheet, OS, two, found, "")


def _add_task(
    sheet: Sheet,
    name: str,
    unit: str,
    columns: Sequence[str],
    found: Found,
    level: str,
    line: str,
    lost: str,
) -> None:
    """Add a survival task to the imported ones; if there are visits, time counts from the first visit."""
    visits = sheet.visits or []
    # Only the first visit is read: whoever came to a later one had survived until then.
    first = {"origin": visits[0], "visits": visits[:1]} if len(visits) > 1 else {}
    content = {"kind": "survival", "level": level or "subject", "unit": unit or "days", **first}
    since = f", counted from visit {visits[0]!r}" if first else ""
    add(found, name, SurvivalSpec.model_validate(content), columns, f"{line}{since}{lost}")


def _is_time(sheet: Sheet, column: str) -> bool:
    """Whether more than half of the filled cells are numbers that are not negative."""
    parsed = sheet.parse(column)
    good = sum(1 for value in parsed.numbers if value is not None and value >= 0)
    return 0 < parsed.known < 2 * good


def _is_event(sheet: Sheet, column: str) -> bool:
    """Whether the column has few different words and all of them say if an event was observed."""
    parsed = sheet.parse(column)
    return 0 < len(parsed.words) <= 10 and event_words(column, parsed.words) is not None
