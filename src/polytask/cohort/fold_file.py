"""One fold of `splits.json`, with the cohort whose subjects it names."""

from __future__ import annotations

from pathlib import Path

from polytask.cohort.cohort import Cohort
from polytask.cohort.splits import Fold, Splits
from polytask.errors import PolytaskError


def read_fold(path: Path, number: int, cohort: Cohort | None = None) -> Fold:
    """The fold of this number.

    Args:
        path: `splits.json` of a work folder.
        cohort: every subject of the fold must be in it.

    Raises:
        PolytaskError: no such fold, or a subject that the cohort does not have.
    """
    folds = Splits.read(path).folds
    if not 0 <= number < len(folds):
        raise PolytaskError(f"{path}: no fold {number}; restore the file, or train again")
    fold = folds[number]
    for subject in (*fold.train, *fold.tune, *fold.held_out) if cohort is not None else ():
        if cohort is not None and subject not in cohort.subjects:
            raise PolytaskError(f"{path}: subject {subject} is not in {cohort.table}; plan again")
    return fold
