"""Render an anatomy as a scanner would: two image channels, masks and dose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask.cohort.phantom.anatomy import STRUCTURES, Anatomy
from polytask.cohort.phantom.shapes import Bytes, Floats, Lattice, distance, filled, paint
from polytask.images.volume import Array

TISSUES: dict[str, tuple[float, float]] = {
    "air": (-1000, 0),
    "wall": (-120, 300),
    "cavity": (0, 450),
    "fluid": (-60, 950),
    "kidney": (100, 750),
    "bladder": (40, 1000),
    "lesion": (200, 250),
    "core": (-40, 900),
    "node": (320, 120),
    "stone": (900, 20),
}
"""Tissue → its intensities (CT in Hounsfield units, MR signal)."""
PRESCRIBED = 60.0
"""Dose within the lesion in Gy."""


@dataclass(frozen=True)
class Scanner:
    """How the images of a site differ from those of others.

    Args:
        site: name of the site in the table.
        ct, mr: (scale, offset, noise) of the intensities.
        thick: whether slices are 1.5 times as thick and the axes are LPS instead of RAS.
    """

    site: str
    ct: tuple[float, float, float]
    mr: tuple[float, float, float]
    thick: bool


SCANNERS = (
    Scanner("A", ct=(1.0, 0.0, 20.0), mr=(1.0, 0.0, 25.0), thick=False),
    Scanner("B", ct=(1.08, 40.0, 35.0), mr=(1.7, 120.0, 60.0), thick=True),
    Scanner("C", ct=(0.95, -20.0, 25.0), mr=(0.6, 40.0, 25.0), thick=False),
    Scanner("D", ct=(1.03, 15.0, 30.0), mr=(2.4, 0.0, 80.0), thick=True),
)


def channels(
    anatomy: Anatomy, room: Lattice, scanner: Scanner, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Render CT and MR, each `[*space]`: int16 in 3D, uint8 in 2D (there an X-ray takes the place of the CT)."""
    found = []
    for which, (scale, offset, noise) in enumerate((scanner.ct, scanner.mr)):
        image = np.full(room.grid.shape, TISSUES["air"][which], np.float32)
        for tissue, shape in anatomy.layers:
            paint(image, room, shape, TISSUES[tissue][which])
        image *= np.float32(scale)
        image += np.float32(offset)
        image += np.float32(noise) * rng.standard_normal(image.shape, np.float32)
        # MR shows magnitudes: noise must not make them negative.
        found.append(np.abs(image) if which else image)
    if room.grid.dims == 3:
        ct, mr = (np.rint(image).astype(np.int16) for image in found)
        return ct, mr
    window = np.interp(found[0], [-1200, -250, 450, 1200], [0, 50, 210, 255])
    return _bytes(window), _bytes(found[1] / 11)


def lesion_map(anatomy: Anatomy, room: Lattice) -> Bytes:
    """Render the label map, uint8 `[*space]`: 1 = lesion with its core, 2 = node."""
    found = filled(room, [anatomy.lesion]).astype(np.uint8)
    found[filled(room, anatomy.nodes)] = 2
    return found


def organ_masks(anatomy: Anatomy, room: Lattice) -> dict[str, Bytes]:
    """Render one mask per structure, uint8 `[*space]`; all zero where the structure is absent.

    The masks overlap: the cavity contains the kidneys and the bladder.
    """
    return {
        name: filled(room, [anatomy.organs[name]] if name in anatomy.organs else []).astype(np.uint8)
        for name in STRUCTURES
    }


def dose(anatomy: Anatomy, room: Lattice) -> Floats:
    """Render the dose in Gy, float32 `[*space]`: full in the lesion, less further away, spared in the bladder."""
    _, away = distance(room, anatomy.lesion)
    found = np.float32(PRESCRIBED) * np.exp(-np.maximum(away, 0) / np.float32(0.15))
    _, away = distance(room, anatomy.organs["bladder"])
    found *= 1 - np.float32(0.85) * np.exp(-((np.maximum(away, 0) / np.float32(0.07)) ** 2))
    found *= filled(room, [anatomy.body])
    return np.asarray(found, np.float32)


def _bytes(image: npt.NDArray[np.floating]) -> Bytes:
    """Round an image to uint8 and clip it to 0 … 255."""
    return np.asarray(np.clip(np.rint(image), 0, 255), np.uint8)
