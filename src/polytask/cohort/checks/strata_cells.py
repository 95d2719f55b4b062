"""Check the columns under `strata`, by which results are also given."""

from __future__ import annotations

from collections.abc import Iterator

from polytask.cohort.checks.evidence import Evidence
from polytask.cohort.subject_strata import list_group_shortages, list_strata_problems
from polytask.errors import Problem


def check_strata_cells(evidence: Evidence) -> Iterator[Problem]:
    """Find strata columns that the table lacks, cells without a stratum, subjects in two strata, a column with one
    group only, and groups that are too small."""
    problems = list(list_strata_problems(evidence.cohort))
    yield from problems or list_group_shortages(evidence.cohort)
