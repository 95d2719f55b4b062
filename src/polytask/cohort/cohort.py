"""A cohort in memory: its header and its cases. Reading it opens no image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from polytask.cohort.header import Header, VoxelSpec
from polytask.cohort.header_file import HEADER, canonical, load_header, read_header
from polytask.cohort.loading import Case, load_cases
from polytask.cohort.table import Table, find_table, read_table
from polytask.errors import PolytaskError, Problem
from polytask.images.file_names import make_file_name

__all__ = ["Case", "Cohort", "Sample", "WrittenAs", "load"]


@dataclass(frozen=True)
class Sample:
    """One subject with the visits that are looked at together, in order."""

    subject: str
    cases: tuple[Case, ...]

    @property
    def key(self) -> str:
        """File-name safe, unique among a cohort's samples."""
        if len(self.cases) == 1:
            return self.cases[0].key
        return make_file_name(self.subject, hashed=any(c.twin for c in self.cases))


@dataclass(frozen=True)
class WrittenAs:
    """How the masks or doses of one task stand in their files, where that is not as the header says.

    Args:
        spec: the task as the files have it; its `column` is what the cells are called here.
        structures: structure of the header → the structures of `spec` that make it up; none = unknown.
        factor: a dose in the file times this is one in the header's unit.
    """

    spec: VoxelSpec
    structures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    factor: float = 1.0

    @property
    def used(self) -> set[str]:
        """Structures of `spec` that the header asks for."""
        return {name for names in self.structures.values() for name in names}


@dataclass(frozen=True)
class Cohort:
    """Header and cases.

    Args:
        root: folder that paths in cells are relative to.
        table: the file the cases came from (it may not exist for cases made in memory).
        columns: all columns of the table, also unlisted ones.
        cases: one per row, in the table's order.
        written: voxel task → how its files are written, where that is not as the header says (another hospital's
            cohort read through the header of a model).
    """

    header: Header
    root: Path
    table: Path
    columns: tuple[str, ...]
    cases: tuple[Case, ...]
    written: Mapping[str, WrittenAs] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: str | Path) -> Cohort:
        """Read `cohort.yaml` and `cases.csv` of a folder.

        Raises:
            PolytaskError: something without which subjects, visits and splits are not certain. Cells of inputs and
                targets are judged when they are read, and all at once by `polytask.cohort.check.check`.
        """
        folder = Path(folder)
        return cls.from_table(read_header(folder / HEADER), find_table(folder))

    @classmethod
    def from_table(cls, header: Header, path: str | Path) -> Cohort:
        """The cases of a table under a header from elsewhere (prediction on new cases)."""
        table = read_table(Path(path))
        cases, problems = load_cases(header, table)
        found = [p for p in (*table.problems, *problems) if p.level == "error"]
        if found:
            first = found[0]
            where = f"{table.path}{f', row {first.row}' if first.row else ''}"
            more = f" (and {len(found) - 1} more: see `polytask check`)" if len(found) > 1 else ""
            raise PolytaskError(f"{where}: {first.message}; {first.remedy}{more}")
        return cls(header, table.path.parent, table.path, table.columns, tuple(cases))

    @cached_property
    def subjects(self) -> dict[str, tuple[Case, ...]]:
        """Subject → its cases in the order of the header's visits; subjects in the table's order."""
        order = {visit: i for i, visit in enumerate(self.header.visits or [""])}
        found: dict[str, list[Case]] = {}
        for case in self.cases:
            found.setdefault(case.subject, []).append(case)
        return {
            s: tuple(sorted(cases, key=lambda c: order.get(c.visit, len(order))))
            for s, cases in found.items()
        }

    @cached_property
    def pooled_by_subject(self) -> bool:
        """Whether a subject-level task exists, so that a sample is a subject with all its visits."""
        return any(task.level == "subject" for task in self.header.tasks.values())

    def in_split(self, split: str) -> tuple[str, ...]:
        """Subjects of `train` or `test`, in the table's order. Test subjects enter no fold, plan or statistic."""
        return tuple(s for s, cases in self.subjects.items() if cases[0].test == (split == "test"))

    def samples(self, subjects: Iterable[str] | None = None) -> list[Sample]:
        """Samples of these subjects (default: all, test subjects too), in the order given."""
        chosen = list(self.subjects) if subjects is None else list(subjects)
        if self.pooled_by_subject:
            return [Sample(s, self.subjects[s]) for s in chosen]
        return [Sample(s, (case,)) for s in chosen for case in self.subjects[s]]

    def path(self, cell: str) -> Path:
        """The file a cell names."""
        return self.root / cell

    @cached_property
    def digest(self) -> str:
        """sha256 of what header and table say, however they are laid out."""
        total = hashlib.sha256(canonical(self.header).encode())
        mark = "["
        for c in sorted(
            self.cases, key=lambda c: (c.subject, c.visit)
        ):  # row by row: the text of all is large
            row = [c.subject, c.visit, c.day, c.site, c.test, sorted(c.cells.items())]
            total.update((mark + json.dumps(row, ensure_ascii=False, separators=(",", ":"))).encode())
            mark = ","
        total.update(b"]" if self.cases else b"[]")
        return total.hexdigest()


def load(folder: Path) -> tuple[Cohort | None, Table | None, list[Problem]]:
    """What can be read of a cohort, with every problem of its form instead of the first."""
    header, problems = load_header(folder / HEADER)
    if header is None:
        return None, None, problems
    try:
        table = read_table(find_table(folder))
    except PolytaskError as error:
        where, _, rest = str(error).partition(": ")
        message, _, remedy = rest.rpartition("; ")
        return None, None, [Problem("error", "table", message or rest, remedy, file=where)]
    cases, found = load_cases(header, table)
    return Cohort(header, folder, table.path, table.columns, tuple(cases)), table, [*table.problems, *found]
