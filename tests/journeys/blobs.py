"""A cohort in which a label is a function of one region: how bright the ringed blob is, among others without a ring."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from tests.journeys.outcomes import picture, table

SIZE = 48
PLACES = tuple((r, c) for r in range(6, 48, 12) for c in range(6, 48, 12))
BLOBS = 16
DARK, BRIGHT, RING = (90.0, 115.0), (145.0, 170.0), 20.0
HEADER = {
    "polytask": 1,
    "name": "blobs",
    "inputs": {"scan": {"kind": "image", "dims": 2, "channels": {"xr": "XR"}}},
    "tasks": {
        "lesion": {"kind": "segmentation", "image": "scan", "labels": {"lesion": 1}},
        "kind": {"kind": "classification", "classes": ["cold", "hot"]},
    },
}


def blobs(folder: Path, subjects: int, seed: int = 0, unknown: int = 0) -> Path:
    """Write it. The lesion is the blob within a dark ring; it is hot when it is bright. Every other blob is bright or
    dark by a coin of its own, so that neither the brightest place nor the mean of the image tells."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(1, subjects + 1):
        hot = bool(rng.integers(2))
        image, mask = draw(rng, hot)
        name = f"{number:04}"
        picture(folder / f"images/{name}.png", image)
        picture(folder / f"masks/{name}.png", mask)
        rows.append({"subject": name, "scan.xr": f"images/{name}.png", "lesion": f"masks/{name}.png"}
                    | {"kind": "" if number <= unknown else ("cold", "hot")[hot]})  # fmt: skip
    table(folder, rows)
    (folder / "cohort.yaml").write_text(yaml.safe_dump(HEADER, sort_keys=False), encoding="utf-8")
    return folder


def draw(rng: np.random.Generator, hot: bool) -> tuple[np.ndarray, np.ndarray]:
    """Image and mask `[SIZE, SIZE]`."""
    image, mask = np.full((SIZE, SIZE), 60.0), np.zeros((SIZE, SIZE))
    y, x = np.mgrid[:SIZE, :SIZE]
    places = rng.permutation(len(PLACES))[:BLOBS]
    for number, place in enumerate(places):
        row, column = np.array(PLACES[place]) + rng.uniform(-1.5, 1.5, 2)
        away, radius = np.hypot(y - row, x - column), rng.uniform(2.6, 3.4)
        bright = hot if number == 0 else bool(rng.integers(2))
        if number == 0:
            image[away < radius + 1.6] = RING
            mask[away < radius] = 1
        image[away < radius] = rng.uniform(*(BRIGHT if bright else DARK))
    return np.clip(image + rng.normal(0, 12, image.shape), 0, 255), mask
