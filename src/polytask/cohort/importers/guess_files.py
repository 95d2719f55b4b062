"""Guess from its name what an unstated column of files holds: image, mask, dose or region."""

from __future__ import annotations

import re

from polytask.cohort.importers.files import file_columns
from polytask.cohort.importers.found import Found
from polytask.cohort.importers.options import Source
from polytask.cohort.importers.sheet import Sheet
from polytask.cohort.importers.stated import Stated
from polytask.cohort.importers.words import clean

_MASK = re.compile(r"mask|seg|label|roi|contour|structure", re.I)
_DOSE = re.compile(r"(^|[^a-z])(rt)?dose([^a-z]|$)", re.I)
_REGION = re.compile(r"^(?P<task>.+?)_region$", re.I)


def guess_files(sheet: Sheet, found: Found, stated: Stated) -> None:
    """Add the columns of files that nobody stated to the stated ones, so that each column is read exactly once.

    `X_region` is the region in which mask or dose `X` counts; a mask that is named after a dose is the region of that
    dose. `X_known` (names joined by `;`) lists which structures of mask `X` are drawn.
    """
    taken = stated.columns | found.used
    free = [c for c in file_columns(sheet) if c not in taken]
    regions = {c: match["task"] for c in free if (match := _REGION.match(c))}
    masks = [c for c in free if c not in regions and _MASK.search(c)]
    doses = [c for c in free if c not in regions and c not in masks and _DOSE.search(c)]
    for column in free:
        if column in doses:
            stated.doses.append(Source(clean(column), column))
        elif column in masks and not _DOSE.search(column):
            stated.masks.append(Source(clean(column), column))
        elif column not in masks and column not in regions:
            stated.images.append(Source(f"scan.{clean(column).lower()}", column))
    for column in (c for c in masks if _DOSE.search(c)):
        if len(stated.doses) == 1:
            stated.regions.append(Source(clean(stated.doses[0].name), column))
        else:
            stated.masks.append(Source(clean(column), column))
    owners = {s.source: s.name for s in (*stated.masks, *stated.doses)}
    names = {clean(name): name for name in owners.values()}
    for column, task in regions.items():
        owner = owners.get(task) or names.get(clean(task))
        if owner is None:
            stated.masks.append(Source(clean(column), column))
        else:
            stated.regions.append(Source(owner, column))
    for source in stated.masks:
        for column in (f"{source.source}_known", f"{source.name}_known"):
            if column in sheet.columns and column not in stated.columns | found.used:
                stated.known.append(Source(source.name, column))
