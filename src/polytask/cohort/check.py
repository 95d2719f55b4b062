"""Run every check on a cohort, from its header down to its voxels, and list all problems at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from polytask.cohort.checks.agreement import check_agreement
from polytask.cohort.checks.cells import check_cells
from polytask.cohort.checks.columns import check_columns
from polytask.cohort.checks.counts import check_constant, check_counts, check_structures
from polytask.cohort.checks.evidence import Evidence, Progress, gather
from polytask.cohort.checks.far_numbers import check_far_numbers
from polytask.cohort.checks.files import check_files, check_twins
from polytask.cohort.checks.grids import check_grids, check_labels
from polytask.cohort.checks.intensities import check_ct
from polytask.cohort.checks.masks import check_borders, check_empty
from polytask.cohort.checks.order import check_order
from polytask.cohort.checks.pairs import check_pairs
from polytask.cohort.checks.placement import check_forms, check_scales
from polytask.cohort.checks.sizes import check_sizes
from polytask.cohort.checks.slides import check_slides
from polytask.cohort.cohort import load
from polytask.errors import PolytaskError, Problem

CHECKS: dict[str, Callable[[Evidence], Iterator[Problem]]] = {
    "columns": check_columns,
    "cells": check_cells,
    "far_numbers": check_far_numbers,
    "pairs": check_pairs,
    "agreement": check_agreement,
    "order": check_order,
    "counts": check_counts,
    "constant": check_constant,
    "files": check_files,
    "grids": check_grids,
    "labels": check_labels,
    "structures": check_structures,
    "empty": check_empty,
    "borders": check_borders,
    "sizes": check_sizes,
    "ct": check_ct,
    "forms": check_forms,
    "scales": check_scales,
    "twins": check_twins,
    "slides": check_slides,
}


def check(
    folder: str | Path,
    images: bool = True,
    folds: int = 5,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> list[Problem]:
    """List every problem of a cohort, errors first. An empty list means that the cohort is valid.

    Args:
        images: whether to read the files too (each file once). If False, only header and table are checked.
        folds: a class with fewer subjects than this gives a warning.
        jobs: number of threads that read files (default: one per CPU core, at most 8).
        progress: called with (files done, files in total).
    """
    # Without a header or a table there is nothing that the other checks could read.
    cohort, table, problems = load(Path(folder))
    if cohort is None or table is None:
        return problems
    if images:
        evidence = gather(cohort, table, folds, jobs or min(8, os.cpu_count() or 1), progress)
    else:
        evidence = Evidence(cohort, table, folds=folds)
    found = [*problems, *(p for look in CHECKS.values() for p in look(evidence))]
    # The sort is stable: within errors and within warnings the order of CHECKS stays.
    return sorted(found, key=lambda p: p.level != "error")


def require_sound(folder: str | Path, folds: int = 5) -> None:
    """Raise if the header or the table of a cohort has an error. Files are not opened here.

    Raises:
        PolytaskError: with the first error and the number of further errors.
    """
    errors = [p for p in check(folder, images=False, folds=folds) if p.level == "error"]
    if errors:
        place = ", ".join(x for x in (errors[0].file, f"row {errors[0].row}" if errors[0].row else "") if x)
        more = f" (and {len(errors) - 1} more: see `polytask check`)" if len(errors) > 1 else ""
        raise PolytaskError(f"{place}: {errors[0].message}; {errors[0].remedy}{more}")
