"""Check the columns under `strata`, by which results are also given."""

from __future__ import annotations

from collections.abc import Iterator

from polytask.cohort.checks.evidence import Evidence
from polytask.cohort.subject_strata import list_strata_problems
from polytask.errors import Problem


def check_strata_cells(evidence: Evidence) -> Iterator[Problem]:
    """Find strata columns that the table lacks, cells without a stratum, and subjects in two strata."""
    yield from list_strata_problems(evidence.cohort)
