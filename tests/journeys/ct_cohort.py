"""A small 3D cohort that tests may spoil: CT volumes, masks with three labels, a grade, survival."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from polytask.images.formats import write_image_file
from polytask.images.volume import Grid, Volume

SHAPE = (12, 10, 8)
COLUMNS = ("subject", "visit", "site", "split", "scan.ct", "mask", "grade", "os_time", "os_event")
HEADER = {
    "polytask": 1,
    "name": "small",
    "visits": ["baseline", "week6"],
    "inputs": {"scan": {"kind": "image", "dims": 3, "channels": {"ct": "CT"}}},
    "tasks": {
        "mask": {"kind": "segmentation", "image": "scan", "labels": {"a": 1, "b": 2, "c": 3}},
        "grade": {"kind": "classification", "classes": ["low", "high"]},
        "os": {"kind": "survival", "level": "subject", "unit": "days", "horizons": [365]},
    },
}
QUICK = (
    "training.precision=float32",
    "training.threads=1",
    "training.workers=0",
    "training.epochs=2",
    "training.steps_per_epoch=2",
    "training.tune_every=1",
    "training.warmup=1",
    "model.embedding=8",
)


@dataclass(frozen=True)
class Journey:
    """A cohort and its work folder with the runs `hard-fold0`, `hard-fold1` and `single`."""

    dims: int
    cohort: Path
    work: Path

    @property
    def run(self) -> Path:
        """The folder of the first run, `hard-fold0`."""
        return self.work / "runs/hard-fold0"


def keep_first_rows(journey: Journey, folder: Path, rows: int) -> Path:
    """A cohort of the first rows whose images are all there."""
    folder.mkdir()
    header, *lines = (journey.cohort / "cases.csv").read_text().splitlines()
    names = header.split(",")
    channels = [names.index(name) for name in names if name.startswith("scan.")]
    kept = [line for line in lines if all(line.split(",")[k] for k in channels)][:rows]
    (folder / "cases.csv").write_text("\n".join([header, *kept]) + "\n")
    (folder / "cohort.yaml").write_bytes((journey.cohort / "cohort.yaml").read_bytes())
    for name in ("images", "masks"):
        (folder / name).symlink_to(journey.cohort / name)
    return folder


def make_quick_settings(widths: str = "[4,8,8]", image: str = "scan") -> list[str]:
    """`--set` words of a training that takes a moment."""
    return [word for setting in (*QUICK, f"images.{image}.widths={widths}") for word in ("--set", setting)]


def make_ct_image(seed: int, shape: Sequence[int] = SHAPE, channels: int = 1) -> Volume:
    """Noise on an oblique-free grid of 2 × 3 × 4 mm whose first axis runs from right to left."""
    affine = np.diag([-2.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = 10, -20, 30
    voxels = np.random.default_rng(seed).normal(100, 20, (channels, *shape)).astype(np.int16)
    return Volume(voxels, Grid(tuple(shape), affine))


def make_label_image(seed: int) -> Volume:
    """Make a mask with one block of each label 1 to 3."""
    found = make_ct_image(seed)
    mask = np.zeros((1, *SHAPE), np.uint8)
    for label in (1, 2, 3):
        mask[0, 3 * label - 1 : 3 * label + 1, 3:6, 2:5] = label
    return Volume(mask, found.grid)


def write_small_cohort(folder: Path, subjects: int = 8) -> Path:
    """Write the cohort; two rows of subject 01, one of the others, the last in the test part."""
    (folder / "files").mkdir(parents=True)
    rows = []
    for k in range(1, subjects + 1):
        for visit in ("baseline", "week6") if k == 1 else ("baseline",):
            name = f"{k:02d}_{visit}"
            write_image_file(folder / f"files/{name}.nii.gz", make_ct_image(k + 100 * (visit != "baseline")))
            write_image_file(folder / f"files/{name}_mask.nii.gz", make_label_image(k))
            part = "test" if k == subjects else "train"
            cells = [f"files/{name}.nii.gz", f"files/{name}_mask.nii.gz", ("low", "high")[k // 2 % 2]]
            rows.append([f"{k:02d}", visit, "AB"[k % 2], part, *cells, str(100 * k), str(int(k % 3 > 0))])
    write_rows(folder, rows)
    (folder / "cohort.yaml").write_text(yaml.safe_dump(HEADER, sort_keys=False))
    return folder


def write_rows(folder: Path, rows: Sequence[Sequence[str]], columns: Sequence[str] = COLUMNS) -> None:
    """Write `cases.csv` from `columns` and `rows`."""
    with (folder / "cases.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([columns, *rows])


def read_cohort_rows(folder: Path) -> list[list[str]]:
    """Rows of `cases.csv` without the column names."""
    with (folder / "cases.csv").open(newline="") as stream:
        return list(csv.reader(stream))[1:]


def set_cell(folder: Path, row: int, column: str, text: str) -> None:
    """Change a cell; `row` counts from 0 below the column names."""
    rows = read_cohort_rows(folder)
    rows[row][COLUMNS.index(column)] = text
    write_rows(folder, rows)
