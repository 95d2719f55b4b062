"""Files of one visit: their names, their cells, and the whole truth where a file does not tell it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polytask.cohort.phantom.declare import names
from polytask.cohort.phantom.design import Subject
from polytask.cohort.phantom.render import SCANNERS
from polytask.cohort.phantom.shapes import Bytes, Lattice
from polytask.images import formats
from polytask.images.volume import Array, Volume

Cells = dict[str, str]


@dataclass(frozen=True)
class Spec:
    """What one call of `make_phantom` asks for."""

    size: int
    seed: int
    dims: int
    visits: int
    sites: int
    tasks: tuple[str, ...]
    slides: bool = False


class Writer:
    """Names files and collects the cells that point at them: `both` tables, `row` = cases, `truth` = truth."""

    def __init__(self, folder: Path, subject: Subject, visit: int, spec: Spec, room: Lattice) -> None:
        self.folder, self.subject, self.visit, self.spec, self.room = folder, subject, visit, spec, room
        self.row: Cells = {}
        self.truth: Cells = {}
        self.both: Cells = {
            "subject": subject.id,
            "site": SCANNERS[subject.site].site,
            "split": "test" if subject.test else "train",
        }
        self.stem = subject.id
        known = names(spec.visits)
        if known:
            late = np.random.default_rng([spec.seed, 6, subject.index, visit]).integers(-3, 8)
            self.both |= {"visit": known[visit], "day": str(visit * 42 + int(late) if visit else 0)}
            self.stem += f"_{known[visit]}"

    def hidden(self, name: str) -> bool:
        """Whether this subject's draw at this visit holds `name`; what the subject keeps is drawn at the first."""
        return name in self.subject.unknown[0 if name in ("age", "sex") else self.visit]

    def file(self, place: str, what: str, array: Array) -> str:
        """Write `[*space]` or `[C, *space]`; returns the path for the table."""
        ending = ".nii.gz" if self.spec.dims == 3 else ".tif" if array.dtype == np.float32 else ".png"
        path = f"{place}/{self.stem}_{what}{ending}"
        channels = array if array.ndim > self.spec.dims else array[None]
        formats.write(self.folder / path, Volume(channels, self.room.grid))
        return path

    def voxels(self, cell: str, what: str, whole: Array, known: Array | None) -> None:
        """A truth file and, unless nothing is known (None), the file that the cohort shows."""
        if known is not None:
            self.row[cell] = self.file("masks", what, known)
        same = known is not None and np.array_equal(known, whole)
        self.truth[cell] = self.row[cell] if same else self.file("truth", what, whole)

    def half(self, axis: int) -> Bytes:
        """A region for voxel tasks: this side of a plane through the patient, at a place of its own."""
        rng = np.random.default_rng([self.spec.seed, 7, self.subject.index, self.visit, axis])
        region = self.room.coordinate(axis) < rng.uniform(0.02, 0.15)
        return np.broadcast_to(region, self.room.grid.shape).astype(np.uint8)
