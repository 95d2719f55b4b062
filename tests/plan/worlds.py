"""Small worlds for the plan's tests: a phantom, headers in words, fingerprints without files, a fixed machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.header import Header
from polytask.cohort.splits import Fold, Splits
from polytask.plan.fingerprint_records import CaseRecord, Fingerprint, ImageRecord, PlaneRecord, VoxelRecord
from polytask.plan.machine import GIB, Machine
from polytask.plan.quantile_sketch import QUANTILE_COUNT, ValueSummary

LAPTOP = Machine(cores=2, memory=24 * GIB, precision="bf16", gain=1.9)
SERVER = Machine(
    cores=16, memory=128 * GIB, device="cuda", device_memory=40 * GIB, precision="bf16", gain=3.0
)

MASK_AND_GRADE = """
polytask: 1
name: world
inputs:
  scan: {kind: image, channels: {ct: CT}}
tasks:
  tumour: {kind: segmentation, image: scan, labels: {tumour: 1}}
  grade: {kind: ordinal, order: [G1, G2, G3]}
"""


def header(text: str = MASK_AND_GRADE, **parts: Any) -> Header:
    """A header from YAML; `parts` replace top-level keys."""
    return Header.model_validate({**yaml.safe_load(text), **parts})


@cache
def summary(low: float, high: float, n: int = 1000) -> ValueSummary:
    """Of numbers spread evenly from low to high."""
    points = [low + (high - low) * i / (QUANTILE_COUNT - 1) for i in range(QUANTILE_COUNT)]
    return ValueSummary(
        n=n, mean=(low + high) / 2, variance=(high - low) ** 2 / 12, low=low, high=high, quantiles=points
    )


def image_record(
    shape: Sequence[int],
    spacing: Sequence[float] | None = None,
    channels: Iterable[str] = ("ct",),
    body: Sequence[int] | None = None,
    zeros: float = 0.0,
    orientation: str | None = None,
) -> ImageRecord:
    """An image whose body box starts at the origin."""
    spacing = tuple(spacing or (1.0,) * len(shape))
    zero, whole = (0,) * len(shape), tuple(shape)
    inner = tuple(body or shape)
    plane = PlaneRecord(body=summary(-1000, 1000), foreground=summary(0, 100))
    return ImageRecord(
        source_shape=whole,
        source_spacing=spacing,
        orientation=orientation or "RAS"[: len(shape)],
        shape=whole,
        spacing=spacing,
        boxes={"none": (zero, whole), "nonzero": (zero, inner), "body": (zero, inner)},
        zeros=zeros,
        planes={c: [plane] for c in channels},
    )


def case_record(
    subject: str, image: ImageRecord, counts: dict[str, int] | None = None, total: int = 1000
) -> CaseRecord:
    """A case with an image `scan` and a task `tumour`."""
    totals = {"none": total, "nonzero": total, "body": total}
    voxels = {}
    if counts is not None:
        sizes = {k: (10.0,) * len(image.shape) for k, v in counts.items() if v}
        voxels = {"tumour": VoxelRecord(counts=counts, totals=totals, sizes=sizes)}  # type: ignore[arg-type]
    return CaseRecord(digest="0", subject=subject, images={"scan": image}, voxels=voxels)


def cohort_of(
    head: Header, cells: Sequence[dict[str, str]], root: Path = Path("nowhere"), test: Iterable[str] = ()
) -> Cohort:
    """A cohort in memory: a subject per entry, s00, s01, …; a `visit` cell makes several rows of a subject."""
    cases = []
    for number, row in enumerate(cells):
        own = dict(row)
        subject = own.pop("subject", f"s{number:02d}")
        visit = own.pop("visit", "")
        cases.append(Case(subject, visit, site="A", test=subject in set(test), row=number + 2, cells=own))
    return Cohort(head, root, root / "cases.csv", (), tuple(cases))


def graded(count: int) -> list[dict[str, str]]:
    """Cells of a world with masks and all three grades."""
    return [
        {"scan.ct": f"{i}.nii.gz", "tumour": f"m{i}.nii.gz", "grade": f"G{1 + i % 3}"} for i in range(count)
    ]


def prints(shapes: Sequence[Sequence[int]], spacings: Sequence[Sequence[float]] | None = None) -> Fingerprint:
    """A fingerprint of subjects s00, s01, … with masks of 50 of 1000 voxels."""
    spacings = spacings or [(1.0,) * len(s) for s in shapes]
    records = {
        f"s{i:02d}": case_record(f"s{i:02d}", image_record(shape, spacing), {"tumour": 50})
        for i, (shape, spacing) in enumerate(zip(shapes, spacings, strict=True))
    }
    return Fingerprint(cases=records)


def seen_at_visits(
    visits: Sequence[str], size: tuple[int, ...], tasks: dict[str, object]
) -> tuple[Cohort, Fingerprint]:
    """Twelve subjects with an image of one size at every visit, a mask each, and one response to all of them."""
    response = {"kind": "classification", "level": "subject", "classes": ["no", "yes"]}
    cells = [
        {
            "subject": f"s{i:02d}",
            "visit": visit,
            "scan.ct": "x.nii.gz",
            "tumour": "m.nii.gz",
            "response": "yes" if i % 2 else "no",
        }
        for i in range(12)
        for visit in visits
    ]
    cohort = cohort_of(header(visits=list(visits), tasks=tasks | {"response": response}), cells)
    single = prints([size] * 12).cases
    return cohort, Fingerprint(cases={f"{k}@{v}": record for k, record in single.items() for v in visits})


def one_fold(cohort: Cohort, held_out: int = 2, tune: int = 1) -> Splits:
    """A single fold: the last subjects are held out, those before them tune."""
    names = cohort.list_split_subjects("train")
    cut = len(names) - held_out
    return Splits((Fold(names[: cut - tune], names[cut - tune : cut], names[cut:]),), "subject", 0)
