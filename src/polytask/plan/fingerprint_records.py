"""The content of a fingerprint: one record of measurements per case, and no decisions."""

from __future__ import annotations

import json
from math import ceil
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from polytask.atomic_files import write_text_atomically
from polytask.documents.document_errors import DocumentError
from polytask.documents.json_reader import read_json
from polytask.errors import PolytaskError
from polytask.plan.quantile_sketch import ValueSummary
from polytask.plan.voxel_boxes import VoxelBox

FINGERPRINT_VERSION = 2
"""Increase this number when the measurements change: records of an older version are then measured again."""
FINGERPRINT_FILE = "fingerprint.json"
CropRule = Literal["none", "nonzero", "body"]
STORE_AXIS_CODES = ("LR", "PA", "IS")
"""Codes of a file's axis that runs along each axis of the store; the second one runs in the direction of the store."""


class FingerprintRecord(BaseModel):
    """The base class of all records: unknown keys are errors, values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PlaneRecord(FingerprintRecord):
    """Intensities of one plane of a channel: summarized over the body, and over the known structures."""

    body: ValueSummary | None
    foreground: ValueSummary | None


class ImageRecord(FingerprintRecord):
    """One image of one case. `source_*` describe the file as it is; the rest has the axis order of the store."""

    source_shape: tuple[int, ...]
    source_spacing: tuple[float, ...]
    orientation: str
    """Axis codes of the file, e.g. LPS; two letters in 2D."""
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    physical: bool = True
    """Whether the file says how large a pixel is; if not, spacings count pixels."""
    boxes: dict[CropRule, VoxelBox]
    zeros: float
    """Share of voxels that are 0 in every plane."""
    planes: dict[str, list[PlaneRecord]]
    """Channel → one record per plane, for the channels that this case has."""

    def turn_to_file_axes(self) -> Self:
        """Return the record of a volume with its axes as in the file, not turned to right, front, up."""
        axes = self.list_file_axes()
        boxes: dict[CropRule, VoxelBox] = {}
        for rule, (low, high) in self.boxes.items():
            # An axis that points the other way counts its voxels from the other end.
            ends = [
                (low[a], high[a]) if forward else (self.shape[a] - high[a], self.shape[a] - low[a])
                for a, forward in axes
            ]
            boxes[rule] = (tuple(lo for lo, _ in ends), tuple(hi for _, hi in ends))
        return self.model_copy(
            update={
                "shape": tuple(self.shape[a] for a, _ in axes),
                "spacing": tuple(self.spacing[a] for a, _ in axes),
                "boxes": boxes,
            }
        )

    def list_file_axes(self) -> list[tuple[int, bool]]:
        """List for each axis of a volume's file the axis of the store, and whether both point the same way."""
        codes = list(enumerate(STORE_AXIS_CODES))
        return [next((a, code == pair[1]) for a, pair in codes if code in pair) for code in self.orientation]


class VoxelRecord(FingerprintRecord):
    """What was measured of one voxel task in one case."""

    counts: dict[str, int]
    """Structure → number of its voxels, for known structures (0 = known to be absent)."""
    totals: dict[CropRule, int]
    """Crop rule → number of voxels in its box that count: they lie in the region and have no ignored label."""
    sizes: dict[str, tuple[float, ...]]
    """Structure that occurs → edges of the box around its largest component, in the unit of the image."""
    values: dict[CropRule, ValueSummary] = {}
    """Crop rule → summary of the dose in the voxels that count."""


class SlideRecord(FingerprintRecord):
    """One slide or bag of one case: patches with tissue, and mean and variance of their colors or features."""

    patches: int
    """Number of patches of which half is tissue, or of rows of a bag of features."""
    size: tuple[int, int]
    """Width and height of the finest level in pixels; (0, 0) for a bag of features."""
    mpp: float | None
    mean: tuple[float, ...]
    """One number each for red, green and blue, or one number for all features."""
    variance: tuple[float, ...]
    tissue_counts: tuple[int, ...] = ()
    """Number of patches of which at least 0, 1, … `TISSUE_PARTS` of so many parts are tissue; () for features."""

    def count_patches(self, tissue: float) -> int:
        """Count the patches of which at least this share is tissue."""
        if not self.tissue_counts:
            return self.patches
        # Rounded up to the next part that was counted; the tolerance is for shares such as 0.55 in binary.
        return self.tissue_counts[ceil(tissue * (len(self.tissue_counts) - 1) - 1e-9)]


class CaseRecord(FingerprintRecord):
    """All measurements of a case; `digest` is the hash of its files and of what the header says about them."""

    digest: str
    subject: str
    images: dict[str, ImageRecord]
    voxels: dict[str, VoxelRecord]
    slides: dict[str, SlideRecord] = {}


class Fingerprint(FingerprintRecord):
    """The records of all cases outside the test part: case key → record."""

    version: int = FINGERPRINT_VERSION
    cases: dict[str, CaseRecord]

    def of(self, subjects: tuple[str, ...]) -> list[CaseRecord]:
        """Select the records of these subjects, in the order of the fingerprint."""
        wanted = set(subjects)
        return [case for case in self.cases.values() if case.subject in wanted]

    def images(self, name: str) -> list[ImageRecord]:
        """List the records of one image input, for every case that has it."""
        return [case.images[name] for case in self.cases.values() if name in case.images]

    def slides(self, name: str) -> list[SlideRecord]:
        """List the records of one slide input, for every case that has it."""
        return [case.slides[name] for case in self.cases.values() if name in case.slides]

    def write(self, work: Path) -> Path:
        """Write `WORK/fingerprint.json` with one line per case, completely or not at all."""
        lines = [f"  {json.dumps(k)}: {c.model_dump_json()}" for k, c in self.cases.items()]
        text = f'{{"version": {self.version}, "cases": {{\n' + ",\n".join(lines) + "\n}}\n"
        try:
            write_text_atomically(work / FINGERPRINT_FILE, text)
        except OSError as error:
            raise PolytaskError(
                f"{work}: cannot be written ({error.strerror}); make room or choose another"
            ) from None
        return work / FINGERPRINT_FILE

    @classmethod
    def find(cls, work: Path) -> Self | None:
        """Read the fingerprint of a work folder; None when there is none that can be read."""
        # A broken fingerprint is no error here: measuring again costs time only, and repairs it.
        try:
            return cls.read(work)
        except PolytaskError:
            return None

    @classmethod
    def read(cls, work: Path) -> Self:
        """Read the fingerprint of a work folder, as `write` wrote it."""
        path = work / FINGERPRINT_FILE
        try:
            return cls.model_validate(read_json(path, "a fingerprint", "run `polytask plan` again"))
        except (DocumentError, ValidationError):
            raise PolytaskError(f"{path}: not a readable fingerprint; run `polytask plan` again") from None
