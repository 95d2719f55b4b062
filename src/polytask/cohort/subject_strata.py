"""The strata of the subjects of a cohort: which group of each column under `strata` a subject belongs to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from polytask.cohort.cohort import Cohort
from polytask.cohort.strata_columns import MAX_STRATA, find_stratum
from polytask.errors import PolytaskError, Problem, suggest_word
from polytask.kinds.header_words import find_word_meaning, is_same_word

MIN_GROUP_SUBJECTS = 10
"""Fewest subjects of a group for which any metric has an interval."""
StrataBySubject = dict[str, dict[str, str]]
"""Column → subject → stratum ("" where it is unknown)."""


def read_subject_strata(cohort: Cohort, subjects: Iterable[str] | None = None) -> StrataBySubject:
    """Read the stratum of every subject (default: of the whole cohort) for every column under `strata`.

    Raises:
        PolytaskError: the first problem that `list_strata_problems` lists.
    """
    for problem in list_strata_problems(cohort):
        place = f"{problem.file}, row {problem.row}" if problem.row else problem.file
        raise PolytaskError(f"{place}: {problem.message}; {problem.remedy}")
    chosen = list(cohort.subjects) if subjects is None else list(subjects)
    strata: StrataBySubject = {}
    for column, cuts in cohort.header.groupings.items():
        # "2" and "2.0" are one stratum, with the name that the table writes first.
        names: dict[float | str, str] = {}
        words = {subject: _read_stratum(cohort, subject, column, cuts) for subject in cohort.subjects}
        named = {s: names.setdefault(find_word_meaning(word), word) for s, word in words.items()}
        strata[column] = {subject: named[subject] for subject in chosen}
    return strata


def list_strata_problems(cohort: Cohort) -> Iterator[Problem]:
    """List what is wrong with the columns under `strata`: no such column, a cell that is no number, rows of a subject
    that disagree, too many strata."""
    table = cohort.table.name
    for column, cuts in cohort.header.groupings.items():
        if column not in cohort.columns:
            message = f"no column {column!r}, which `strata` names"
            remedy = suggest_word(column, list(cohort.columns))
            yield Problem("error", "missing-column", message, remedy, file=table, row=1, column=column)
            continue
        words: set[float | str] = set()
        for subject, cases in cohort.subjects.items():
            filled = [(case, case.cells[column]) for case in cases if column in case.cells]
            for case, word in filled:
                stratum, first = find_stratum(word, cuts), find_stratum(filled[0][1], cuts)
                words.add(find_word_meaning(stratum))
                if cuts and not stratum:
                    message, remedy = (
                        f"{column} is {word!r}, which is not a number",
                        "correct it, or leave out the cuts",
                    )
                    code = "odd-cell"
                elif not is_same_word(stratum, first):
                    message = f"{column} is {word!r}, but {filled[0][1]!r} in row {filled[0][0].row}"
                    code, remedy = "disagreement", "a stratum belongs to the subject: make its rows agree"
                else:
                    continue
                yield Problem(
                    "error", code, message, remedy, file=table, row=case.row, subject=subject, column=column
                )
        if len(words) > MAX_STRATA:
            message = (
                f"column {column!r} under `strata` has {len(words)} different values, more than {MAX_STRATA}"
            )
            remedy = f"name a column with fewer, or cut its numbers, e.g. {{{column}: [50, 70]}}"
            yield Problem("error", "many-strata", message, remedy, file=table, row=1, column=column)


def list_group_shortages(cohort: Cohort) -> Iterator[Problem]:
    """List the columns under `strata` and `subgroups` with fewer than two groups, and the groups that are too small for
    any interval. The columns themselves must be right, see `list_strata_problems`."""
    table = cohort.table.name
    for column, by_subject in read_subject_strata(cohort).items():
        sizes = Counter(name for name in by_subject.values() if name)
        if len(sizes) < 2:
            only = f"has one group, {next(iter(sizes))!r}, for all subjects" if sizes else "is empty"
            message = f"column {column!r} under `subgroups` {only}: there is nobody to compare it with"
            remedy = "remove it, or cut it elsewhere"
            yield Problem("error", "one-group", message, remedy, file=table, row=1, column=column)
            continue
        few = {name: n for name, n in sizes.items() if n < MIN_GROUP_SUBJECTS}
        if few:
            named = ", ".join(f"{name} ({n})" for name, n in few.items())
            message = (
                f"column {column!r} under `subgroups`: too few subjects for any interval, {MIN_GROUP_SUBJECTS} needed: "
                f"{named}"
            )
            remedy = "merge groups, or cut elsewhere"
            yield Problem("warning", "small-group", message, remedy, file=table, row=1, column=column)


def _read_stratum(cohort: Cohort, subject: str, column: str, cuts: list[float]) -> str:
    """Find the stratum of a subject: that of its first filled row."""
    cells = (case.cells.get(column, "") for case in cohort.subjects[subject])
    return next((find_stratum(cell, cuts) for cell in cells if cell), "")
