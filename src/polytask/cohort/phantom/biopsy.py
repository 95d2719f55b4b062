"""The biopsies of the phantom: small slides (image pyramids) of stained tissue whose nuclei show the grade.

The larger the lesion, and so the higher its grade, the denser and bluer are its nuclei. A biopsy is taken at the
first visit; two of twelve subjects have none.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from polytask.cohort.phantom.subject_blocks import GRADE_RADIUS_BANDS, SUBJECTS_PER_BLOCK
from polytask.cohort.phantom.subjects import PhantomSubject
from polytask.images.safe_files import silence_library, write_atomically

BIOPSY_INPUT = "biopsy"
BIOPSY_EDGE = 1024
PYRAMID_LEVELS = 3
BIOPSY_MPP = 1.0
TILE_EDGE = 128
GLASS_COLOR, STROMA_COLOR = (243, 242, 244), (226, 178, 206)
NUCLEUS_COLORS = ((150, 90, 150), (70, 50, 150))
"""RGB color of the nuclei in the smallest and in the largest lesions."""
NUCLEUS_DENSITIES = (0.0006, 0.0030)
"""Nuclei per pixel of tissue in the smallest and in the largest lesions."""
MISSING_BIOPSIES = 2
BiopsyPixels = npt.NDArray[np.uint8]


def has_biopsy(subject: PhantomSubject, seed: int) -> bool:
    """Whether a biopsy of the subject exists; two subjects of each block have none."""
    block, place = divmod(subject.index, SUBJECTS_PER_BLOCK)
    return (
        place
        not in np.random.default_rng([seed, 8, block])
        .permutation(SUBJECTS_PER_BLOCK)[:MISSING_BIOPSIES]
        .tolist()
    )


def write_biopsy(folder: Path, subject: PhantomSubject, seed: int) -> str:
    """Write the slide of a subject as a tiled TIFF pyramid; returns its path as a cell of the table."""
    import tifffile

    path = f"slides/{subject.id}.tif"
    image = paint_biopsy(subject, np.random.default_rng([seed, 9, subject.index]))
    with (
        write_atomically(folder / path) as file,
        silence_library("tifffile"),
        tifffile.TiffWriter(file, bigtiff=False) as writer,
    ):
        for level in range(PYRAMID_LEVELS):
            scale = 2**level
            writer.write(
                np.asarray(Image.fromarray(image).reduce(scale)),
                tile=(TILE_EDGE, TILE_EDGE),
                photometric="rgb",
                compression="zlib",
                compressionargs={"level": 1},
                subfiletype=int(level > 0),
                resolution=(1e4 / (BIOPSY_MPP * scale), 1e4 / (BIOPSY_MPP * scale)),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
    return path


def paint_biopsy(subject: PhantomSubject, rng: np.random.Generator) -> BiopsyPixels:
    """Paint a slide, uint8 `[edge, edge, 3]`: three blobs of tissue on glass, with nuclei in the tissue."""
    high = (subject.radius - GRADE_RADIUS_BANDS[0][0]) / (
        GRADE_RADIUS_BANDS[-1][1] - GRADE_RADIUS_BANDS[0][0]
    )
    y, x = np.mgrid[:BIOPSY_EDGE, :BIOPSY_EDGE].astype(np.float32) / BIOPSY_EDGE
    tissue = np.zeros((BIOPSY_EDGE, BIOPSY_EDGE), bool)
    for _ in range(3):
        cx, cy = rng.uniform(0.3, 0.7, 2)
        rx, ry = rng.uniform(0.16, 0.26, 2)
        tissue |= ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1
    image = np.empty((BIOPSY_EDGE, BIOPSY_EDGE, 3), np.float32)
    image[:] = GLASS_COLOR
    image[tissue] = np.array(STROMA_COLOR, np.float32)
    color = (1 - high) * np.array(NUCLEUS_COLORS[0]) + high * np.array(NUCLEUS_COLORS[1])
    count = int((NUCLEUS_DENSITIES[0] + high * (NUCLEUS_DENSITIES[1] - NUCLEUS_DENSITIES[0])) * tissue.sum())
    rows, columns = np.nonzero(tissue)
    for index in rng.integers(0, len(rows), count).tolist():
        row, column, radius = int(rows[index]), int(columns[index]), int(rng.integers(3, 6))
        top, left = max(0, row - radius), max(0, column - radius)
        near = np.s_[top : row + radius + 1, left : column + radius + 1]
        dy, dx = np.ogrid[near[0], near[1]]
        image[near][(dy - row) ** 2 + (dx - column) ** 2 <= radius**2] = color
    grain = rng.integers(-3, 4, (BIOPSY_EDGE, BIOPSY_EDGE, 1), np.int8)
    return np.asarray(np.clip(np.rint(image + grain), 0, 255), np.uint8)
