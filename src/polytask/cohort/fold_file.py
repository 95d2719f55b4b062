"""Read one fold of `splits.json` and check its subjects against the cohort."""

from __future__ import annotations

from pathlib import Path

from polytask.cohort.cohort import Cohort
from polytask.cohort.splits import Fold, Splits
from polytask.errors import PolytaskError


def read_fold(path: Path, number: int, cohort: Cohort | None = None) -> Fold:
    """Read the fold with this number.

    Args:
        path: `splits.json` of a work folder.
        cohort: if given, every subject of the fold must be in it.

    Raises:
        PolytaskError: there is no such fold, or the cohort lacks a subject of the fold.
    """
    folds = Splits.read(path).folds
    if not 0 <= number < len(folds):
        raise PolytaskError(f"{path}: no fold {number}; restore the file, or train again")
    fold = folds[number]
    for subject in (*fold.train, *fold.tune, *fold.held_out) if cohort is not None else ():
        if cohort is not None and subject not in cohort.subjects:
            raise PolytaskError(f"{path}: subject {subject} is not in {cohort.table}; plan again")
    return fold
