"""Importers turn other data layouts into a cohort: they write header and table, images stay where they are."""

from __future__ import annotations

from collections.abc import Callable

from polytask.cohort.importers.cohort_draft import ImportedCohort
from polytask.cohort.importers.decathlon import import_decathlon
from polytask.cohort.importers.nnunet import import_nnunet
from polytask.cohort.importers.plain_table import import_table

IMPORTERS: dict[str, Callable[..., ImportedCohort]] = {
    "nnunet": import_nnunet,
    "decathlon": import_decathlon,
    "table": import_table,
}

__all__ = ["IMPORTERS", "ImportedCohort", "import_decathlon", "import_nnunet", "import_table"]
