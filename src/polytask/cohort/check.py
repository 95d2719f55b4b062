"""Run every check on a cohort, from its header down to its voxels, and list all problems at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from polytask.cohort.checks.applicable_cells import check_applicable_cells
from polytask.cohort.checks.class_counts import (
    check_class_counts,
    check_constant_columns,
    check_rare_structures,
)
from polytask.cohort.checks.evidence import Evidence, Progress, gather_evidence
from polytask.cohort.checks.far_numbers import check_far_numbers
from polytask.cohort.checks.file_contents import check_duplicate_files, check_file_contents
from polytask.cohort.checks.grids import check_grids, check_mask_labels
from polytask.cohort.checks.header_columns import check_header_columns
from polytask.cohort.checks.intensities import check_ct_intensities
from polytask.cohort.checks.mask_borders import check_empty_masks, check_mask_borders
from polytask.cohort.checks.odd_cells import check_cell_values
from polytask.cohort.checks.paired_cells import check_paired_cells
from polytask.cohort.checks.placement import check_nifti_forms, check_pixel_scales
from polytask.cohort.checks.slide_contents import check_slides
from polytask.cohort.checks.strata_cells import check_strata_cells
from polytask.cohort.checks.structure_sizes import check_structure_sizes
from polytask.cohort.checks.subject_agreement import check_subject_agreement
from polytask.cohort.checks.visit_order import check_visit_order
from polytask.cohort.cohort import load_cohort
from polytask.errors import Problem

CHECKS: dict[str, Callable[[Evidence], Iterator[Problem]]] = {
    "columns": check_header_columns,
    "cells": check_cell_values,
    "far_numbers": check_far_numbers,
    "pairs": check_paired_cells,
    "agreement": check_subject_agreement,
    "applicable": check_applicable_cells,
    "strata": check_strata_cells,
    "order": check_visit_order,
    "counts": check_class_counts,
    "constant": check_constant_columns,
    "files": check_file_contents,
    "grids": check_grids,
    "labels": check_mask_labels,
    "structures": check_rare_structures,
    "empty": check_empty_masks,
    "borders": check_mask_borders,
    "sizes": check_structure_sizes,
    "ct": check_ct_intensities,
    "forms": check_nifti_forms,
    "scales": check_pixel_scales,
    "twins": check_duplicate_files,
    "slides": check_slides,
}


def check_cohort(
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
    cohort, table, problems = load_cohort(Path(folder))
    if cohort is None or table is None:
        return problems
    if images:
        evidence = gather_evidence(cohort, table, folds, jobs or min(8, os.cpu_count() or 1), progress)
    else:
        evidence = Evidence(cohort, table, folds=folds)
    all_problems = [*problems, *(p for run_check in CHECKS.values() for p in run_check(evidence))]
    # The sort is stable: within errors and within warnings the order of CHECKS stays.
    return sorted(all_problems, key=lambda p: p.level != "error")
