"""A cohort in memory: its header and its cases. Reading a cohort opens no image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from polytask.cohort.case_loading import Case, load_cases
from polytask.cohort.header import Header, VoxelSpec
from polytask.cohort.header_file import HEADER_FILE, load_header, make_canonical_text, read_header
from polytask.cohort.read_visits import are_visits_joined
from polytask.cohort.text_table import TextTable, find_cases_table, read_text_table
from polytask.errors import PolytaskError, Problem
from polytask.images.file_names import make_file_name

__all__ = ["Case", "Cohort", "FileVoxelSpec", "Sample", "load_cohort"]


@dataclass(frozen=True)
class Sample:
    """One subject with the visits that the model sees together, in the order of the header."""

    subject: str
    cases: tuple[Case, ...]

    @property
    def key(self) -> str:
        """Name that is safe in file names and unique among the samples of a cohort."""
        if len(self.cases) == 1:
            return self.cases[0].key
        return make_file_name(self.subject, hashed=any(c.twin for c in self.cases))


@dataclass(frozen=True)
class FileVoxelSpec:
    """The voxel task as another hospital's files have it, where they differ from the header of the model.

    Args:
        spec: the task as the files have it; its `column` is the name of the column in this table.
        structures: structure of the header → the structures of `spec` that make it up; an empty tuple = unknown.
        factor: dose in the file × `factor` = dose in the header's unit.
    """

    spec: VoxelSpec
    structures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    factor: float = 1.0

    @property
    def used(self) -> set[str]:
        """Structures of `spec` that the header needs."""
        return {name for names in self.structures.values() for name in names}


@dataclass(frozen=True)
class Cohort:
    """A typed header with all cases of its table; it holds text and paths, no images.

    Args:
        root: folder to which paths in cells are relative.
        table: the file from which the cases came (it may not exist for cases made in memory).
        columns: all columns of the table, also those that the header does not name.
        cases: one per row, in the order of the table.
        written: voxel task → how its files are written, where they differ from the header (another hospital's
            cohort, read with the header of a model).
    """

    header: Header
    root: Path
    table: Path
    columns: tuple[str, ...]
    cases: tuple[Case, ...]
    written: Mapping[str, FileVoxelSpec] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: str | Path) -> Cohort:
        """Read `cohort.yaml` and `cases.csv` of a folder.

        Raises:
            PolytaskError: an error that leaves subjects, visits or splits unclear. Cells of inputs and targets are
                checked when they are read, and all at once by `polytask check`.
        """
        folder = Path(folder)
        return cls.from_table(read_header(folder / HEADER_FILE), find_cases_table(folder))

    @classmethod
    def from_table(cls, header: Header, path: str | Path) -> Cohort:
        """Read a table with a header that does not lie beside it, as in prediction on new cases."""
        table = read_text_table(Path(path))
        cases, problems = load_cases(header, table)
        errors = [p for p in (*table.problems, *problems) if p.level == "error"]
        if errors:
            first = errors[0]
            where = f"{table.path}{f', row {first.row}' if first.row else ''}"
            more = f" (and {len(errors) - 1} more: see `polytask check`)" if len(errors) > 1 else ""
            raise PolytaskError(f"{where}: {first.message}; {first.remedy}{more}")
        return cls(header, table.path.parent, table.path, table.columns, tuple(cases))

    @cached_property
    def subjects(self) -> dict[str, tuple[Case, ...]]:
        """Map each subject to its cases, in the order of the header's visits; subjects in the table's order."""
        # A visit that the header does not name sorts last instead of raising: it is an error of the table already.
        order = {visit: i for i, visit in enumerate(self.header.visits or [""])}
        cases_by_subject: dict[str, list[Case]] = {}
        for case in self.cases:
            cases_by_subject.setdefault(case.subject, []).append(case)
        return {
            s: tuple(sorted(cases, key=lambda c: order.get(c.visit, len(order))))
            for s, cases in cases_by_subject.items()
        }

    @cached_property
    def samples_are_subjects(self) -> bool:
        """Whether a sample is a subject with all its visits: True if any task joins visits."""
        return are_visits_joined(self.header)

    def list_split_subjects(self, split: str) -> tuple[str, ...]:
        """List the subjects of `train` or `test`, in the table's order.

        Test subjects never enter a fold, a plan or a statistic that training sees.
        """
        return tuple(s for s, cases in self.subjects.items() if cases[0].test == (split == "test"))

    def samples(self, subjects: Iterable[str] | None = None) -> list[Sample]:
        """List the samples of these subjects (default: all, also test subjects), in the given order.

        A sample is a subject with all its visits if any task joins visits, else one visit.
        """
        chosen = list(self.subjects) if subjects is None else list(subjects)
        if self.samples_are_subjects:
            return [Sample(s, self.subjects[s]) for s in chosen]
        return [Sample(s, (case,)) for s in chosen for case in self.subjects[s]]

    def path(self, cell: str) -> Path:
        """Return the path of the file that a cell names."""
        return self.root / cell

    @cached_property
    def digest(self) -> str:
        """sha256 of the content of header and table; the layout of the two files does not change it."""
        # Sorted cases and cells make the hash independent of the order of rows and columns.
        total = hashlib.sha256(make_canonical_text(self.header).encode())
        mark = "["
        # Row by row, because the text of all rows together is large.
        for c in sorted(self.cases, key=lambda c: (c.subject, c.visit)):
            row = [c.subject, c.visit, c.day, c.site, c.test, sorted(c.cells.items())]
            total.update((mark + json.dumps(row, ensure_ascii=False, separators=(",", ":"))).encode())
            mark = ","
        total.update(b"]" if self.cases else b"[]")
        return total.hexdigest()


def load_cohort(folder: Path) -> tuple[Cohort | None, TextTable | None, list[Problem]]:
    """Read as much of a cohort as possible, and list all problems of its form instead of raising at the first.

    Returns:
        (cohort, table, problems); cohort and table are None when header or table cannot be read at all.
    """
    header, problems = load_header(folder / HEADER_FILE)
    if header is None:
        return None, None, problems
    try:
        table = read_text_table(find_cases_table(folder))
    except PolytaskError as error:
        place, _, explanation = str(error).partition(": ")
        message, _, remedy = explanation.rpartition("; ")
        return None, None, [Problem("error", "table", message or explanation, remedy, file=place)]
    cases, case_problems = load_cases(header, table)
    return (
        Cohort(header, folder, table.path, table.columns, tuple(cases)),
        table,
        [*table.problems, *case_problems],
    )
