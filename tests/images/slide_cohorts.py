"""A cohort of slides alone: twelve subjects, two visits, pixels by visit and features by subject."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.images.slide_worlds import write_pyramid
from tests.images.test_bag_files import write

WIDTH = 5
SUBJECTS = tuple(f"s{n:02d}" for n in range(12))
HEADER: dict[str, Any] = {
    "polytask": 1,
    "name": "slides",
    "visits": ["first", "second"],
    "inputs": {
        "biopsy": {"kind": "slide", "patch": 32, "mpp": 1.0},
        "bag": {"kind": "slide", "level": "subject", "features": WIDTH},
    },
    "tasks": {
        "grade": {"kind": "ordinal", "order": ["G1", "G2"]},
        "pcr": {"kind": "classification", "level": "subject", "classes": ["no", "yes"]},
    },
}
MISSING = ("s03", "s07")
"""Subjects without a biopsy; `s05` has no bag."""


def squares(number: int) -> set[tuple[int, int]]:
    """Where the tissue of subject `number` is: at least two of sixteen squares."""
    return {(number % 4, number // 4), ((number + 1) % 4, 3), *[(k, 2) for k in range(number % 3)]}


def features(number: int) -> np.ndarray:
    """The bag of subject `number`."""
    return np.random.default_rng(number).normal(number, 2, (20 + number, WIDTH)).astype(np.float32)


def write_cohort(root: Path, **inputs: Any) -> Path:
    """Write it; `inputs` replace those of the header."""
    root.mkdir(parents=True, exist_ok=True)
    header = {**HEADER, "inputs": {**HEADER["inputs"], **inputs}}
    (root / "cohort.yaml").write_text(yaml.safe_dump(header, sort_keys=False))
    with (root / "cases.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["subject", "visit", "split", "biopsy", "bag", "grade", "pcr"])
        for number, subject in enumerate(SUBJECTS):
            slide, bag = f"{subject}.tif", f"{subject}{('.npz', '.h5', '.pt')[number % 3]}"
            write_pyramid(root / slide, 256, 64, squares(number), (1, 2), tile=64)
            write(root / bag, features(number), np.arange(2 * (20 + number)).reshape(-1, 2) * 100)
            part = "test" if subject == SUBJECTS[-1] else "train"
            own = "" if subject in MISSING else slide
            grade = f"G{1 + number % 2}"
            table.writerow([subject, "first", part, own, "", grade, ""])
            rest = ["" if subject == "s05" else bag, grade, ("no", "yes")[number // 2 % 2]]
            table.writerow([subject, "second", part, "", *rest])
    return root
