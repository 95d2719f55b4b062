"""Write the files of one visit and collect the table cells that name them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polytask.cohort.phantom.ellipsoids import ByteArray, Lattice
from polytask.cohort.phantom.phantom_header import list_visit_names
from polytask.cohort.phantom.render import SCANNERS
from polytask.cohort.phantom.subjects import PhantomSubject
from polytask.images import formats
from polytask.images.volume import Array, Volume

CellTexts = dict[str, str]


@dataclass(frozen=True)
class PhantomSpec:
    """Settings of one call of `make_phantom`, as it documents them."""

    size: int
    seed: int
    dims: int
    visits: int
    sites: int
    tasks: tuple[str, ...]
    slides: bool = False


class VisitWriter:
    """Names and writes the files of a visit, and collects the cells that name them.

    `row` has the cells of `cases.csv`, `truth` those of `truth.csv`, and `shared_cells` those of both tables.
    """

    def __init__(
        self, folder: Path, subject: PhantomSubject, visit: int, spec: PhantomSpec, room: Lattice
    ) -> None:
        self.folder, self.subject, self.visit, self.spec, self.visit_lattice = (
            folder,
            subject,
            visit,
            spec,
            room,
        )
        self.row: CellTexts = {}
        self.truth: CellTexts = {}
        self.shared_cells: CellTexts = {
            "subject": subject.id,
            "site": SCANNERS[subject.site].site,
            "split": "test" if subject.test else "train",
        }
        self.stem = subject.id
        known = list_visit_names(spec.visits)
        if known:
            late = np.random.default_rng([spec.seed, 6, subject.index, visit]).integers(-3, 8)
            self.shared_cells |= {"visit": known[visit], "day": str(visit * 42 + int(late) if visit else 0)}
            self.stem += f"_{known[visit]}"

    def hidden(self, name: str) -> bool:
        """Whether cell or oddity `name` was drawn for this visit; age and sex are drawn once, at the first visit."""
        return name in self.subject.unknown[0 if name in ("age", "sex") else self.visit]

    def file(self, place: str, what: str, array: Array) -> str:
        """Write an array `[*space]` or `[C, *space]` as an image file; returns its path as a cell of the table."""
        ending = ".nii.gz" if self.spec.dims == 3 else ".tif" if array.dtype == np.float32 else ".png"
        path = f"{place}/{self.stem}_{what}{ending}"
        channels = array if array.ndim > self.spec.dims else array[None]
        formats.write_image_file(self.folder / path, Volume(channels, self.visit_lattice.grid))
        return path

    def voxels(self, cell: str, what: str, whole: Array, known: Array | None) -> None:
        """Write a mask or dose: the full truth and, unless nothing is known (None), what the cohort may show."""
        # Where both are equal, one file serves for both tables.
        if known is not None:
            self.row[cell] = self.file("masks", what, known)
        same = known is not None and np.array_equal(known, whole)
        self.truth[cell] = self.row[cell] if same else self.file("truth", what, whole)

    def half(self, axis: int) -> ByteArray:
        """Return a region mask `[*space]`: one side of a plane across `axis`, at a position drawn per visit."""
        rng = np.random.default_rng([self.spec.seed, 7, self.subject.index, self.visit, axis])
        region = self.visit_lattice.coordinate(axis) < rng.uniform(0.02, 0.15)
        return np.broadcast_to(region, self.visit_lattice.grid.shape).astype(np.uint8)
