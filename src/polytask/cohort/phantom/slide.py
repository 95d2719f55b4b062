"""The biopsies of the phantom: small slides (image pyramids) of stained tissue whose nuclei show the grade.

The larger the lesion, and so the higher its grade, the denser and bluer are its nuclei. A biopsy is taken at the
first visit; two of twelve subjects have none.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from polytask.cohort.phantom.blocks import BANDS, BLOCK
from polytask.cohort.phantom.design import Subject
from polytask.images.files import atomic, quiet

INPUT = "biopsy"
EDGE = 1024
LEVELS = 3
MPP = 1.0
TILE = 128
GLASS, STROMA = (243, 242, 244), (226, 178, 206)
NUCLEI = ((150, 90, 150), (70, 50, 150))
"""RGB color of the nuclei in the smallest and in the largest lesions."""
DENSITY = (0.0006, 0.0030)
"""Nuclei per pixel of tissue in the smallest and in the largest lesions."""
MISSING = 2
Pixels = npt.NDArray[np.uint8]


def has_slide(subject: Subject, seed: int) -> bool:
    """Whether a biopsy of the subject exists; two subjects of each block have none."""
    block, place = divmod(subject.index, BLOCK)
    return place not in np.random.default_rng([seed, 8, block]).permutation(BLOCK)[:MISSING].tolist()


def write_slide(folder: Path, subject: Subject, seed: int) -> str:
    """Write the slide of a subject as a tiled TIFF pyramid; returns its path as a cell of the table."""
    import tifffile

    path = f"slides/{subject.id}.tif"
    image = paint(subject, np.random.default_rng([seed, 9, subject.index]))
    with (
        atomic(folder / path) as file,
        quiet("tifffile"),
        tifffile.TiffWriter(file, bigtiff=False) as writer,
    ):
        for level in range(LEVELS):
            scale = 2**level
            writer.write(
                np.asarray(Image.fromarray(image).reduce(scale)),
                tile=(TILE, TILE),
                photometric="rgb",
                compression="zlib",
                compressionargs={"level": 1},
                subfiletype=int(level > 0),
                resolution=(1e4 / (MPP * scale), 1e4 / (MPP * scale)),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
    return path


def paint(subject: Subject, rng: np.random.Generator) -> Pixels:
    """Paint a slide, uint8 `[edge, edge, 3]`: three blobs of tissue on glass, with nuclei in the tissue."""
    high = (subject.radius - BANDS[0][0]) / (BANDS[-1][1] - BANDS[0][0])
    y, x = np.mgrid[:EDGE, :EDGE].astype(np.float32) / EDGE
    tissue = np.zeros((EDGE, EDGE), bool)
    for _ in range(3):
        cx, cy = rng.uniform(0.3, 0.7, 2)
        rx, ry = rng.uniform(0.16, 0.26, 2)
        tissue |= ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1
    image = np.empty((EDGE, EDGE, 3), np.float32)
    image[:] = GLASS
    image[tissue] = np.array(STROMA, np.float32)
    colour = (1 - high) * np.array(NUCLEI[0]) + high * np.array(NUCLEI[1])
    count = int((DENSITY[0] + high * (DENSITY[1] - DENSITY[0])) * tissue.sum())
    rows, columns = np.nonzero(tissue)
    for index in rng.integers(0, len(rows), count).tolist():
        row, column, radius = int(rows[index]), int(columns[index]), int(rng.integers(3, 6))
        top, left = max(0, row - radius), max(0, column - radius)
        near = np.s_[top : row + radius + 1, left : column + radius + 1]
        dy, dx = np.ogrid[near[0], near[1]]
        image[near][(dy - row) ** 2 + (dx - column) ** 2 <= radius**2] = colour
    grain = rng.integers(-3, 4, (EDGE, EDGE, 1), np.int8)
    return np.asarray(np.clip(np.rint(image + grain), 0, 255), np.uint8)
