"""Collect what the checks look at: the cohort, its rows, and the facts of every file, each file read once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from polytask.cohort.cell_values import ABSENT
from polytask.cohort.checks.image_facts import FileRole, ImageFacts, inspect_image
from polytask.cohort.checks.slide_facts import SlideFacts, inspect_slide
from polytask.cohort.cohort import Cohort
from polytask.cohort.header import Header, VoxelSpec
from polytask.cohort.text_table import TextTable
from polytask.errors import Problem
from polytask.kinds import find_voxel_kind

Progress = Callable[[int, int], None]
ReadingKey = tuple[Path, FileRole, int]


@dataclass(frozen=True)
class FileCell:
    """One cell of the table that names a file.

    Args:
        owner: the input or task that reads the file.
        part: channel of an image, or structure of a mask with a column of its own; else "".
        image: the image input whose grid the file must have; "" for a slide.
        dims: space axes of the image (2 or 3). For a slide: the position of its input among the slide inputs,
            because each slide input cuts patches in its own way.
    """

    subject: str
    visit: str
    row: int
    column: str
    cell: str
    path: Path
    role: FileRole
    owner: str
    part: str
    image: str
    dims: int

    @property
    def key(self) -> ReadingKey:
        """Key of the reading: cells with the same key share one reading of the file."""
        return self.path, self.role, self.dims


@dataclass(frozen=True)
class Evidence:
    """All data that a check may use.

    Args:
        file_cells: every cell that names a file; empty when files are not read.
        image_facts: key of a cell → facts of its file; files that cannot be read are missing here.
        slide_facts: the same for slides.
        failures: key of a cell → why its file could not be read; "" = there is no such file.
        folds: number of folds into which the cohort will be split.
    """

    cohort: Cohort
    table: TextTable
    file_cells: tuple[FileCell, ...] = ()
    image_facts: dict[ReadingKey, ImageFacts] = field(default_factory=dict)
    failures: dict[ReadingKey, str] = field(default_factory=dict)
    folds: int = 5
    slide_facts: dict[ReadingKey, SlideFacts] = field(default_factory=dict)

    @property
    def header(self) -> Header:
        """The typed header of the cohort."""
        return self.cohort.header

    def make_problem(
        self, level: Literal["error", "warning"], code: str, message: str, remedy: str,
        row: int = 0, subject: str = "", column: str = "", file: str = "",
    ) -> Problem:  # fmt: skip
        """Make a problem of the table (or of `file`, if given), with its row, subject and column."""
        name = file or self.table.path.name
        return Problem(level, code, message, remedy, file=name, row=row, subject=subject, column=column)

    def make_file_problem(
        self, file_cell: FileCell, level: Literal["error", "warning"], code: str, message: str, remedy: str
    ) -> Problem:
        """Make a problem of the file that a cell names."""
        place = (file_cell.cell, file_cell.row, file_cell.subject, file_cell.column)
        return Problem(level, code, message, remedy, *place)


def list_file_cells(cohort: Cohort) -> Iterator[FileCell]:
    """List every cell of the table that names a file, with the input or task that reads it."""
    header = cohort.header
    wanted: list[tuple[str, FileRole, str, str, str]] = []
    for name, image in header.images.items():
        wanted += [(f"{name}.{channel}", "image", name, channel, name) for channel in image.channels]
    for name, task in header.tasks.items():
        if isinstance(task, VoxelSpec):
            stem, kind = task.column or name, find_voxel_kind(task.kind)
            wanted.append((stem, kind.noun, name, "", task.image))
            wanted.append((f"{stem}_region", "region", name, "", task.image))
            parts = kind.list_part_columns(task, stem)
            wanted += [(column, kind.noun, name, part, task.image) for column, part in parts.items()]
    for case in cohort.cases:
        for column, role, owner, part, place in wanted:
            cell = case.cells.get(column)
            if cell is None or (role == "mask" and part and cell == ABSENT):
                continue
            path, dims = cohort.path(cell), header.images[place].dims
            yield FileCell(
                case.subject, case.visit, case.row, column, cell, path, role, owner, part, place, dims
            )
        for number, name in enumerate(header.slides):
            if (cell := case.cells.get(name)) is not None:
                path = cohort.path(cell)
                yield FileCell(
                    case.subject, case.visit, case.row, name, cell, path, "slide", name, "", "", number
                )


def gather_evidence(
    cohort: Cohort, table: TextTable, folds: int, jobs: int, progress: Progress | None
) -> Evidence:
    """Read every file once, in `jobs` threads.

    Args:
        folds: number of folds into which the cohort will be split.
        progress: called with (files done, files in total), first with (0, total) and then after each file.
    """
    file_cells = tuple(list_file_cells(cohort))
    image_facts: dict[ReadingKey, ImageFacts] = {}
    slide_facts: dict[ReadingKey, SlideFacts] = {}
    failures: dict[ReadingKey, str] = {}
    specs = list(cohort.header.slides.values())
    keys = list(dict.fromkeys(file_cell.key for file_cell in file_cells))
    if progress:
        progress(0, len(keys))
    with ThreadPoolExecutor(jobs) as pool:
        waiting: dict[Future[ImageFacts | SlideFacts | str], ReadingKey] = {
            pool.submit(inspect_slide, key[0], specs[key[2]])
            if key[1] == "slide"
            else pool.submit(inspect_image, *key): key
            for key in keys
        }
        try:
            for done, future in enumerate(as_completed(waiting), start=1):
                facts = future.result()
                if isinstance(facts, ImageFacts):
                    image_facts[waiting[future]] = facts
                elif isinstance(facts, SlideFacts):
                    slide_facts[waiting[future]] = facts
                else:
                    failures[waiting[future]] = facts
                if progress:
                    progress(done, len(keys))
        # Also for Ctrl-C: otherwise leaving the pool would wait until all queued files have been read.
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return Evidence(cohort, table, file_cells, image_facts, failures, folds, slide_facts)
