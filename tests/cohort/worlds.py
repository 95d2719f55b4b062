"""A small sound cohort to break: twelve subjects, two visits, every kind of column, NIfTI files of 6×5×4 voxels."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import yaml

from polytask.cohort.check import check_cohort
from polytask.errors import Problem

SHAPE = (6, 5, 4)
VISITS = ("baseline", "week6")
SUBJECTS = tuple(f"{n:03d}" for n in range(1, 13))


def header() -> dict[str, Any]:
    """The header of the world."""
    return {
        "polytask": 1,
        "name": "world",
        "unknown": ["NA"],
        "visits": list(VISITS),
        "inputs": {
            "scan": {"kind": "image", "channels": {"ct": "CT", "mr": "MR"}},
            "clinic": {
                "kind": "table",
                "columns": {
                    "age": {"type": "number", "level": "subject"},
                    "marker": {"type": "number"},
                    "smoker": {"type": "category", "values": ["never", "past", "now"]},
                },
            },
        },
        "tasks": {
            "tumour": {
                "kind": "segmentation",
                "image": "scan",
                "labels": {"tumour": 1, "node": 2},
                "ignore": 255,
            },
            "organs": {
                "kind": "segmentation",
                "image": "scan",
                "structures": ["left", "right"],
                "mirror": [["left", "right"]],
            },
            "dose": {"kind": "dose", "image": "scan", "unit": "Gy", "structures": "organs"},
            "grade": {"kind": "ordinal", "order": ["1", "2", "3"]},
            "finding": {"kind": "multilabel", "labels": ["cyst", "stone"]},
            "size": {"kind": "regression", "unit": "mm"},
            "os": {"kind": "survival", "origin": "baseline", "visits": ["baseline"], "horizons": [365]},
            "pcr": {"kind": "classification", "level": "subject", "classes": ["no", "yes"]},
        },
    }


def save(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> None:
    """A NIfTI file with the array's own type; channels of `[C, *space]` come last."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.moveaxis(array, 0, -1) if array.ndim == 4 else array
    image = nib.Nifti1Image(array, np.diag([1.0, 1, 2, 1]) if affine is None else affine)
    image.header.set_data_dtype(array.dtype)
    nib.save(image, path)


@dataclass
class World:
    """Header and rows that a test may change before `write`; files are written at once."""

    folder: Path
    header: dict[str, Any] = field(default_factory=header)
    rows: list[dict[str, str]] = field(default_factory=list)

    def row(self, subject: str, visit: str = "baseline") -> dict[str, str]:
        """One row."""
        return next(r for r in self.rows if r["subject"] == subject and r["visit"] == visit)

    def write(self) -> Path:
        """Write header and table."""
        (self.folder / "cohort.yaml").write_text(
            yaml.safe_dump(self.header, sort_keys=False), encoding="utf-8"
        )
        columns = list(dict.fromkeys(c for row in self.rows for c in row))
        with (self.folder / "cases.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(self.rows)
        return self.folder

    def problems(self, **options: Any) -> list[Problem]:
        """Write and check."""
        return check_cohort(self.write(), **{"folds": 2, **options})

    def only(self, code: str, **options: Any) -> Problem:
        """The one problem of a code; nothing else may be wrong."""
        found = self.problems(**options)
        assert [p.code for p in found] == [code], "\n".join(map(str, found))
        return found[0]


def make_world(folder: Path) -> World:
    """The world, sound."""
    folder.mkdir(parents=True, exist_ok=True)
    world = World(folder)
    rng = np.random.default_rng(0)
    for number, subject in enumerate(SUBJECTS):
        for visit in VISITS:
            stem = f"{subject}_{visit}"
            mask = np.zeros(SHAPE, np.uint8)
            mask[1:3, 1:3, 1], mask[4, 3, 2], mask[0, 0, 0] = 1, 2, 255
            organs = np.zeros((2, *SHAPE), np.uint8)
            organs[0, :2], organs[1, -2:] = 1, 1
            save(folder / f"i/{stem}_ct.nii.gz", rng.integers(-900, 900, SHAPE).astype(np.int16))
            save(folder / f"i/{stem}_mr.nii.gz", rng.random(SHAPE, np.float32))
            save(folder / f"m/{stem}.nii.gz", mask)
            save(folder / f"o/{stem}.nii.gz", organs)
            save(folder / f"d/{stem}.nii.gz", rng.random(SHAPE, np.float32))
            first = visit == "baseline"
            world.rows.append(
                {
                    "subject": subject,
                    "visit": visit,
                    "day": "0" if first else "42",
                    "site": "AB"[number % 2],
                    "split": "test" if subject == SUBJECTS[-1] else "train",
                    "scan.ct": f"i/{stem}_ct.nii.gz",
                    "scan.mr": f"i/{stem}_mr.nii.gz",
                    "age": str(50 + number) if first else "",
                    "marker": str(number / 10 + first),
                    "smoker": ("never", "past", "now")[number % 3],
                    "tumour": f"m/{stem}.nii.gz",
                    "tumour_known": "tumour" if number == 3 else "",
                    "organs": f"o/{stem}.nii.gz",
                    "dose": f"d/{stem}.nii.gz",
                    "grade": "" if number == 5 else str(number % 3 + 1),
                    "finding.cyst": str(number % 2),
                    "finding.stone": "NA" if number == 1 else str(number // 2 % 2),
                    "size": str(number),
                    "os_time": str(100 * number) if first else "",
                    "os_event": str(number % 2) if first else "",
                    "pcr": "" if first else ("no", "yes")[number // 3 % 2],
                }
            )
    return world
