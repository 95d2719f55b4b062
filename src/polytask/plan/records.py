"""What a fingerprint holds: one record per case, nothing that was decided."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from polytask.documents.fault import DocumentError
from polytask.documents.json_reader import read_json
from polytask.errors import PolytaskError
from polytask.plan.boxes import Box
from polytask.plan.sketch import Summary

VERSION = 2
"""Raised when what is measured changes: older records are then measured again."""
NAME = "fingerprint.json"
Crops = Literal["none", "nonzero", "body"]
CROPS: tuple[Crops, ...] = ("none", "nonzero", "body")


class Record(BaseModel):
    """Base of the records: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PlaneRecord(Record):
    """Intensities of one plane of a channel, over the body and over the known structures."""

    body: Summary | None
    foreground: Summary | None


class ImageRecord(Record):
    """One image of one case. `source_*` as in the file, the rest in the store's axis order."""

    source_shape: tuple[int, ...]
    source_spacing: tuple[float, ...]
    orientation: str
    """Axis codes of the file, e.g. LPS; two letters in 2D."""
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    physical: bool = True
    """Whether the file says how large a pixel is; else spacings count pixels."""
    boxes: dict[Crops, Box]
    zeros: float
    """Share of voxels that are 0 in every plane."""
    planes: dict[str, list[PlaneRecord]]
    """Channels that are there."""


class VoxelRecord(Record):
    """One voxel task of one case."""

    counts: dict[str, int]
    """Voxels of each known structure (0 = known to be absent)."""
    totals: dict[Crops, int]
    """Voxels that count (region, not to be ignored) inside each crop box."""
    sizes: dict[str, tuple[float, ...]]
    """Edges, in the unit of the image, of the box around the largest component of each structure that occurs."""
    values: dict[Crops, Summary] = {}
    """Dose in the voxels that count."""


class SlideRecord(Record):
    """One slide or bag of one case: patches with tissue, and mean and variance of their colours or features."""

    patches: int
    size: tuple[int, int]
    """Width and height of the finest level; of a bag (0, 0)."""
    mpp: float | None
    mean: tuple[float, ...]
    """Red, green and blue; one number for features."""
    variance: tuple[float, ...]


class CaseRecord(Record):
    """Everything measured of a case; `digest` is the hash of its files and of what the header says of them."""

    digest: str
    subject: str
    images: dict[str, ImageRecord]
    voxels: dict[str, VoxelRecord]
    slides: dict[str, SlideRecord] = {}


class Fingerprint(Record):
    """Case key → record, for every subject outside the test part."""

    version: int = VERSION
    cases: dict[str, CaseRecord]

    def of(self, subjects: tuple[str, ...]) -> list[CaseRecord]:
        """The cases of these subjects, in the fingerprint's order."""
        wanted = set(subjects)
        return [case for case in self.cases.values() if case.subject in wanted]

    def images(self, name: str) -> list[ImageRecord]:
        """This image of every case that has it."""
        return [case.images[name] for case in self.cases.values() if name in case.images]

    def slides(self, name: str) -> list[SlideRecord]:
        """This slide of every case that has it."""
        return [case.slides[name] for case in self.cases.values() if name in case.slides]

    def write(self, work: Path) -> Path:
        """`WORK/fingerprint.json`, a line per case, atomically."""
        lines = [f"  {json.dumps(k)}: {c.model_dump_json()}" for k, c in self.cases.items()]
        text = f'{{"version": {self.version}, "cases": {{\n' + ",\n".join(lines) + "\n}}\n"
        part = work / f".{NAME}.part"
        try:
            part.write_text(text, encoding="utf-8")
            os.replace(part, work / NAME)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise PolytaskError(
                f"{work}: cannot be written ({error.strerror}); make room or choose another"
            ) from None
        return work / NAME

    @classmethod
    def find(cls, work: Path) -> Self | None:
        """The fingerprint of a work folder, None when there is none that can be read."""
        try:
            return cls.read(work)
        except PolytaskError:
            return None

    @classmethod
    def read(cls, work: Path) -> Self:
        """Read what `write` wrote."""
        path = work / NAME
        try:
            return cls.model_validate(read_json(path, "a fingerprint", "run `polytask plan` again"))
        except (DocumentError, ValidationError):
            raise PolytaskError(f"{path}: not a readable fingerprint; run `polytask plan` again") from None
