"""What the data are: header, table, checks, splits, importers, the phantom cohort. Knows no torch."""

from polytask.cohort.cohort import Case, Cohort, Sample
from polytask.cohort.header import Header

__all__ = ["Case", "Cohort", "Header", "Sample"]
