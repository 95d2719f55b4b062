"""The data of a cohort: header, table, checks, splits, importers and the phantom cohort. Imports no torch."""

from polytask.cohort.cohort import Case, Cohort, Sample
from polytask.cohort.header import Header

__all__ = ["Case", "Cohort", "Header", "Sample"]
