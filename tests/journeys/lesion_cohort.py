"""A cohort in which a label is a property of a region: how bright all lesions are together, however many there are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from tests.journeys.outcome_runs import write_case_rows, write_gray_picture

SIZE = 48
LESION_POSITIONS = tuple((row, column) for row in range(6, SIZE, 12) for column in range(6, SIZE, 12))
BACKGROUND_VALUE, DARK_RING, BRIGHT_RING, NOISE = 60.0, 20.0, 180.0, 12.0
VALUES, MIDDLE_VALUE = (60.0, 160.0), 110.0
HEADER = {
    "polytask": 1,
    "name": "blobs",
    "inputs": {"scan": {"kind": "image", "dims": 2, "channels": {"xr": "XR"}}},
    "tasks": {
        "lesion": {"kind": "segmentation", "image": "scan", "labels": {"lesion": 1}},
        "kind": {"kind": "classification", "classes": ["cold", "hot"]},
    },
}


def write_lesion_cohort(folder: Path, subjects: int, seed: int = 0) -> Path:
    """Write the cohort into `folder`.

    Sixteen blobs, each with a brightness of its own. Those within a dark ring are lesions, some to most of them. The
    subject is hot when the mean over all voxels of its lesions is high: neither the brightest lesion tells that, nor a
    sum over the image, which grows with their number.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(1, subjects + 1):
        image, mask, hot = draw_lesion_image(rng)
        name = f"{number:04}"
        row = {"subject": name, "scan.xr": f"images/{name}.png", "lesion": f"masks/{name}.png"}
        write_gray_picture(folder / row["scan.xr"], image)
        write_gray_picture(folder / row["lesion"], mask)
        rows.append(row | {"kind": ("cold", "hot")[hot]})
    write_case_rows(folder, rows)
    (folder / "cohort.yaml").write_text(yaml.safe_dump(HEADER, sort_keys=False), encoding="utf-8")
    return folder


def draw_lesion_image(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, bool]:
    """Image, mask `[SIZE, SIZE]`, and whether the lesions are bright on the whole."""
    shape = (SIZE, SIZE)
    plain, mask, image = np.zeros(shape), np.zeros(shape), np.full(shape, BACKGROUND_VALUE)
    y, x = np.mgrid[:SIZE, :SIZE]
    share = rng.uniform(0.1, 0.6)
    ringed = rng.random(len(LESION_POSITIONS)) < share
    ringed[rng.integers(len(LESION_POSITIONS))] = True
    for place, lesion in zip(LESION_POSITIONS, ringed, strict=True):
        row, column = np.array(place) + rng.uniform(-1.5, 1.5, 2)
        away, radius = np.hypot(y - row, x - column), rng.uniform(2.6, 3.6)
        inside = away < radius
        image[away < radius + 1.6] = DARK_RING if lesion else BRIGHT_RING
        plain[inside] = image[inside] = rng.uniform(*VALUES)
        mask[inside] = lesion
    hot = bool(plain[mask > 0].mean() > MIDDLE_VALUE)
    return np.clip(image + rng.normal(0, NOISE, shape), 0, 255), mask, hot
