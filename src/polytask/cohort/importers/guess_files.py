"""Guess from its name what an unstated column of files holds: image, mask, dose or region."""

from __future__ import annotations

import re

from polytask.cohort.importers.file_options import FileOptions
from polytask.cohort.importers.foreign_sheet import ForeignSheet
from polytask.cohort.importers.foreign_words import make_clean_name
from polytask.cohort.importers.import_options import FileSource
from polytask.cohort.importers.imported_tasks import ImportedTasks
from polytask.cohort.importers.locate_files import list_file_columns

_MASK_NAME = re.compile(r"mask|seg|label|roi|contour|structure", re.I)
_DOSE_NAME = re.compile(r"(^|[^a-z])(rt)?dose([^a-z]|$)", re.I)
_REGION_NAME = re.compile(r"^(?P<task>.+?)_region$", re.I)


def guess_file_columns(sheet: ForeignSheet, imported: ImportedTasks, stated: FileOptions) -> None:
    """Add the columns of files that nobody stated to the stated ones, so that each column is read exactly once.

    `X_region` is the region in which mask or dose `X` counts; a mask that is named after a dose is the region of that
    dose. `X_known` (names joined by `;`) lists which structures of mask `X` are drawn.
    """
    taken = stated.columns | imported.used
    free = [c for c in list_file_columns(sheet) if c not in taken]
    regions = {c: match["task"] for c in free if (match := _REGION_NAME.match(c))}
    masks = [c for c in free if c not in regions and _MASK_NAME.search(c)]
    doses = [c for c in free if c not in regions and c not in masks and _DOSE_NAME.search(c)]
    for column in free:
        if column in doses:
            stated.doses.append(FileSource(make_clean_name(column), column))
        elif column in masks and not _DOSE_NAME.search(column):
            stated.masks.append(FileSource(make_clean_name(column), column))
        elif column not in masks and column not in regions:
            stated.images.append(FileSource(f"scan.{make_clean_name(column).lower()}", column))
    for column in (c for c in masks if _DOSE_NAME.search(c)):
        if len(stated.doses) == 1:
            stated.regions.append(FileSource(make_clean_name(stated.doses[0].name), column))
        else:
            stated.masks.append(FileSource(make_clean_name(column), column))
    owners = {s.source: s.name for s in (*stated.masks, *stated.doses)}
    names = {make_clean_name(name): name for name in owners.values()}
    for column, task in regions.items():
        owner = owners.get(task) or names.get(make_clean_name(task))
        if owner is None:
            stated.masks.append(FileSource(make_clean_name(column), column))
        else:
            stated.regions.append(FileSource(owner, column))
    for source in stated.masks:
        for column in (f"{source.source}_known", f"{source.name}_known"):
            if column in sheet.columns and column not in stated.columns | imported.used:
                stated.known.append(FileSource(source.name, column))
