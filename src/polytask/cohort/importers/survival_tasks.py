"""Turn time and event columns of a foreign table into survival tasks; words of the event become 1 and 0."""

from __future__ import annotations

from collections.abc import Sequence

from polytask.cohort.header import SurvivalSpec
from polytask.cohort.importers.cohort_draft import list_examples
from polytask.cohort.importers.follow_up import (
    FollowUpColumns,
    find_follow_up_columns,
    has_follow_up_dates,
    read_follow_up,
)
from polytask.cohort.importers.foreign_sheet import ForeignSheet
from polytask.cohort.importers.foreign_words import guess_time_unit, make_clean_name, map_event_words
from polytask.cohort.importers.imported_tasks import ImportedTasks, add_imported_task
from polytask.cohort.importers.lost_cells import MAX_LOST_SHARE, LostCells
from polytask.cohort.importers.survival_names import pair_survival_columns
from polytask.errors import PolytaskError
from polytask.kinds.cell_readers import EVENT_MEANING

OVERALL_SURVIVAL_TASK = "os"
"""Name of the task of survival until death from any cause."""
OVERALL_SURVIVAL_NAMES = {OVERALL_SURVIVAL_TASK, "overall_survival", "overallsurvival", "survival"}


def add_survival_pairs(sheet: ForeignSheet, imported: ImportedTasks) -> None:
    """Add a survival task for every pair of time and event columns that is found by name.

    Columns that look like survival but cannot be paired are left out, with a note on how to state them: a regression
    of censored times, or an event without its time, would be a wrong task.
    """
    _find_death_or_follow_up(sheet, imported)
    free = [c for c in sheet.columns if c not in imported.used]
    times = [c for c in free if _holds_times(sheet, c)]
    paired = pair_survival_columns(times, [c for c in free if _holds_events(sheet, c)])
    for name, pair in paired.pairs.items():
        add_survival_task(sheet, make_clean_name(name), pair, imported, "")
    for name, columns in paired.doubles.items():
        doubles = [c for c in columns if c not in imported.used]
        if doubles:
            imported.leave_out(
                doubles, f"the same follow-up as task {make_clean_name(name)!r}, or part of it"
            )
    unclear = [c for c in (*paired.times, *paired.events) if c not in imported.used]
    if paired.times and paired.events:
        imported.leave_out(
            unclear,
            "times and events of survival, but it is not clear which belong together: "
            f"add --task NAME=survival:{paired.times[0]},{paired.events[0]}",
        )


def add_survival_task(
    sheet: ForeignSheet, name: str, pair: tuple[str, str], imported: ImportedTasks, level: str
) -> None:
    """Add a survival task from a time column and an event column.

    Raises:
        PolytaskError: the words do not say whether the event was observed, or an empty cell seems to mean censored.
    """
    time, event = pair
    times, events = sheet.parse(time), sheet.parse(event)
    mapped = map_event_words(event, events.words)
    if mapped is None:
        raise PolytaskError(
            f"{sheet.path}, column {event}: {list_examples(map(repr, events.words))} do not say whether the event was "
            "observed; expected e.g. 1 and 0, dead and alive, or yes and no; rewrite the column"
        )
    bits, how = mapped
    loss = LostCells(name, f"a time that is 0 or more, and an event that is {EVENT_MEANING}")
    imported.losses.append(loss)
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
    if half > MAX_LOST_SHARE * (half + known) and "0" not in kept_events and name not in imported.accepted:
        raise PolytaskError(
            f"{sheet.path}: {half} rows have only one of {time!r} and {event!r}, and no row that has both is censored; "
            f"does empty mean censored? if so, write 0 and the time there; if it means unknown, "
            f"add --accept-loss {name}"
        )
    imported.cells[f"{name}_time"], imported.cells[f"{name}_event"] = kept_times, kept_events
    unit = imported.units.get(name) or guess_time_unit(time)
    lost = f"; {half} rows with only one of the two are unknown" if half else ""
    assumed = f"in {unit}" if unit else f"in days (assumed; change it with --unit {name}=months)"
    line = f"survival, time {time!r} {assumed}, event {event!r}: {how}"
    _add_checked_survival(sheet, name, unit, pair, imported, level, line, lost)


def add_death_or_follow_up(
    sheet: ForeignSheet, name: str, follow_up: FollowUpColumns, imported: ImportedTasks, level: str
) -> None:
    """Add a survival task whose time is that of death for the dead, else that of the last follow-up."""
    times, events, named, line = read_follow_up(sheet, name, follow_up, imported)
    imported.cells[f"{name}_time"], imported.cells[f"{name}_event"] = times, events
    unit = imported.units.get(name) or named
    assumed = "" if unit else f"; in days (assumed; change it with --unit {name}=months)"
    _add_checked_survival(sheet, name, unit, follow_up.columns, imported, level, line, assumed)


def _find_death_or_follow_up(sheet: ForeignSheet, imported: ImportedTasks) -> None:
    """Look for a time of death beside one of the last follow-up, as TCGA has them, and add the task or a note."""
    follow_up = find_follow_up_columns(sheet, [c for c in sheet.columns if c not in imported.used])
    if follow_up is None:
        return
    names = [c for c in sheet.columns if c not in {*imported.used, *follow_up.columns}]
    times = [c for c in names if _holds_times(sheet, c)]
    whole = pair_survival_columns(times, [c for c in names if _holds_events(sheet, c)]).pairs
    own = next((name for name in whole if make_clean_name(name).lower() in OVERALL_SURVIVAL_NAMES), "")
    if own:
        imported.leave_out(follow_up.columns, f"the same follow-up as task {make_clean_name(own)!r}")
    elif has_follow_up_dates(sheet, follow_up) and not follow_up.start:
        same = [c for c in names if guess_time_unit(c) and _holds_times(sheet, c) and "death" in c.lower()]
        option = f"--task '{OVERALL_SURVIVAL_TASK}=survival:START,{','.join(follow_up.columns)}'"
        imported.leave_out(
            [*follow_up.columns, *same],
            f"dates of survival, but it is not clear from which date time counts: add {option}, where START is "
            "the column of that date",
        )
    else:
        add_death_or_follow_up(sheet, OVERALL_SURVIVAL_TASK, follow_up, imported, "")


def _add_checked_survival(
    sheet: ForeignSheet,
    name: str,
    unit: str,
    columns: Sequence[str],
    imported: ImportedTasks,
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
    add_imported_task(imported, name, SurvivalSpec.model_validate(content), columns, f"{line}{since}{lost}")


def _holds_times(sheet: ForeignSheet, column: str) -> bool:
    """Whether more than half of the filled cells are numbers that are not negative."""
    parsed = sheet.parse(column)
    good = sum(1 for value in parsed.numbers if value is not None and value >= 0)
    return 0 < parsed.known < 2 * good


def _holds_events(sheet: ForeignSheet, column: str) -> bool:
    """Whether the column has few different words and all of them say if an event was observed."""
    parsed = sheet.parse(column)
    return 0 < len(parsed.words) <= 10 and map_event_words(column, parsed.words) is not None
